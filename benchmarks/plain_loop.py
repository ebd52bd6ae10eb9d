"""The plainest loop: consume, decode, model, encode, produce, commit, as a person writes it first.

python plain_loop.py BOOTSTRAP INPUT OUTPUT GROUP BATCH REPOSITORY
"""

import sys
import time

from confluent_kafka import Consumer, KafkaError, Message, Producer
from job import LoopJob

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
    servers, source, output, group, batch, repository = sys.argv[1:]
    job = LoopJob(repository)
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    producer = Producer({"bootstrap.servers": servers, "compression.type": "lz4", "partitioner": "murmur2_random"})
    consumer.subscribe([source])
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
