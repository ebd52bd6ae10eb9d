"""The plainest loop: consume, decode, model, encode, produce, commit, as a person writes it first."""

import time

from confluent_kafka import Consumer, KafkaError, Message, Producer

from benchmarks.job import LoopJob
from benchmarks.loop import Tally, asked

COMMIT_S = 1.0


def delivered(error: KafkaError | None, _message: Message) -> None:
    if error:
        raise SystemExit(str(error))


def score(messages: list[Message], job: LoopJob, *, producer: Producer, source: str, output: str) -> None:
    keys, values, partitions, offsets, stamps = [], [], [], [], []
    for message in messages:
        if message.error():
            raise SystemExit(str(message.error()))
        keys.append(message.key())
        values.append(message.value())
        partitions.append(message.partition())
        offsets.append(message.offset())
        stamps.append(message.timestamp()[1])
    answers = job.answer(values, source, partitions, offsets)
    for answer, key, stamp in zip(answers, keys, stamps, strict=True):
        while True:
            try:
                producer.produce(output, answer, key, timestamp=stamp, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    producer.poll(0)


def main() -> None:
    ask, tally = asked(), Tally()
    job = LoopJob(ask.repository)
    servers = {"bootstrap.servers": ask.servers}
    consumer = Consumer(servers | {"group.id": ask.group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    producer = Producer(servers | {"compression.type": "lz4", "partitioner": "murmur2_random"})
    consumer.subscribe([ask.source])
    tally.until_terminated()
    committed_s, uncommitted = time.monotonic(), 0
    while tally.goes_on:
        messages = consumer.consume(ask.batch, 1.0)
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
