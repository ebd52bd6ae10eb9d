"""The tuned loop: the plain one with every trick that needs no second thread; the limit to chase.

Delivery reports for errors only, fetch.queue.backoff.ms=5, garbage collection out of the way, fields read by unbound
methods, positional produce, no work a record but reading and producing it.

python tuned_loop.py BOOTSTRAP INPUT OUTPUT GROUP BATCH REPOSITORY
"""

import gc
import sys
import time

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, Producer
from job import LoopJob

COMMIT_S = 1.0


def failed(error: KafkaError, _message: Message) -> None:
    raise SystemExit(str(error))


def make_consumer(servers: str, group: str) -> Consumer:
    # Without the short back-off a full queue is left alone for a second.
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )


def make_producer(servers: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "delivery.report.only.error": True,
            "on_delivery": failed,
        }
    )


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
    servers, source, output, group, batch, repository = sys.argv[1:]
    job = LoopJob(repository)
    consumer, producer = make_consumer(servers, group), make_producer(servers)
    consumer.subscribe([source])
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    committed_s, uncommitted = time.monotonic(), 0
    while True:
        messages = consumer.consume(int(batch), 1.0)
        if messages:
            score(messages, job, producer=producer, source=source, output=output)
            uncommitted += len(messages)
        if uncommitted and time.monotonic() - committed_s > COMMIT_S:
            producer.flush()
            consumer.commit(asynchronous=False)
            committed_s, uncommitted = time.monotonic(), 0


if __name__ == "__main__":
    main()
