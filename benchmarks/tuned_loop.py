"""The tuned loop: the plain one with every trick that needs no second thread; the limit to chase.

Delivery reports for errors only, fetch.queue.backoff.ms=5, garbage collection out of the way, fields read by unbound
methods, positional produce, no work a record but reading and producing it. With the profile `latency` it takes what is
there behind a first record, and the producer does not linger.
"""

import gc
import time

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, Producer

from benchmarks.job import LoopJob
from benchmarks.loop import Asked, Tally, asked

COMMIT_S = 1.0
WAIT_S = 1.0


def failed(error: KafkaError, _message: Message) -> None:
    raise SystemExit(str(error))


def make_consumer(ask: Asked) -> Consumer:
    # Without the short back-off a full queue is left alone for a second.
    return Consumer(
        {
            "bootstrap.servers": ask.servers,
            "group.id": ask.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )


def make_producer(ask: Asked) -> Producer:
    properties: dict[str, str | int | bool | object] = {
        "bootstrap.servers": ask.servers,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "delivery.report.only.error": True,
        "on_delivery": failed,
    }
    return Producer(properties | ({"linger.ms": 0} if ask.is_low_latency else {}))


def take(consumer: Consumer, ask: Asked) -> list[Message]:
    """Return the next batch: a full one or that of a second; with low latency what is there."""
    if not ask.is_low_latency:
        return consumer.consume(ask.batch, WAIT_S)
    first = consumer.poll(WAIT_S)
    # `consume` would wait for more until its time is over.
    return [] if first is None else [first, *consumer.consume(ask.batch - 1, 0)]


def score(messages: list[Message], job: LoopJob, *, producer: Producer, source: str, output: str) -> None:
    errors = [error for error in map(Message.error, messages) if error]
    if errors:
        raise SystemExit(str(errors[0]))
    count = len(messages)
    partitions = np.fromiter(map(Message.partition, messages), np.int32, count)
    offsets = np.fromiter(map(Message.offset, messages), np.int64, count)
    answers = job.answer(list(map(Message.value, messages)), source, partitions, offsets)
    produce = producer.produce
    for answer, key, (_, stamp) in zip(
        answers, map(Message.key, messages), map(Message.timestamp, messages), strict=True
    ):
        while True:
            try:
                produce(output, answer, key, -1, None, None, stamp)
                break
            except BufferError:
                producer.poll(0.1)
    producer.poll(0)


def main() -> None:
    ask, tally = asked(), Tally()
    job = LoopJob(ask.repository)
    consumer, producer = make_consumer(ask), make_producer(ask)
    consumer.subscribe([ask.source])
    tally.until_terminated()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    committed_s, uncommitted = time.monotonic(), 0
    while tally.goes_on:
        messages = take(consumer, ask)
        if messages:
            score(messages, job, producer=producer, source=ask.source, output=ask.output)
            tally.count(len(messages))
            uncommitted += len(messages)
        if uncommitted and time.monotonic() - committed_s > COMMIT_S:
            producer.flush()
            consumer.commit(asynchronous=False)
            committed_s, uncommitted = time.monotonic(), 0
    producer.flush()
    tally.tell(ask.told)


if __name__ == "__main__":
    main()
