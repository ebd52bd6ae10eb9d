"""The tuned loop: the plain one with every trick that needs no second thread; the limit to chase.

Delivery reports for errors only, fetch.queue.backoff.ms=5, garbage collection out of the way, fields read by unbound
methods, positional produce, positions of a batch only for its predictions.

python tuned_loop.py BOOTSTRAP INPUT OUTPUT GROUP BATCH REPOSITORY
"""

import gc
import sys
import time

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from job import LoopJob, raise_on_error

COMMIT_S = 1.0


def failed(error: KafkaError, _message: Message) -> None:
    raise SystemExit(str(error))


def main() -> None:
    servers, source, output, group, batch, repository = sys.argv[1:]
    job = LoopJob(repository)
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "delivery.report.only.error": True,
            "on_delivery": failed,
        }
    )
    consumer.subscribe([source])
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    committed_at = time.monotonic()
    while True:
        messages = consumer.consume(int(batch), 1.0)
        if messages:
            if any(map(Message.error, messages)):
                raise_on_error(messages)
            count = len(messages)
            partitions = np.fromiter(map(Message.partition, messages), np.int32, count)
            offsets = np.fromiter(map(Message.offset, messages), np.int64, count)
            answers = job.answer(list(map(Message.value, messages)), source, partitions, offsets)
            produce = producer.produce
            for message, answer in zip(messages, answers, strict=True):
                try:
                    produce(output, answer, message.key(), -1, None, None, message.timestamp()[1])
                except BufferError:
                    producer.poll(0.1)
                    produce(output, answer, message.key(), -1, None, None, message.timestamp()[1])
            producer.poll(0)
        if time.monotonic() - committed_at > COMMIT_S:
            if producer.flush():
                raise KafkaException("not everything was delivered")
            consumer.commit(asynchronous=False)
            committed_at = time.monotonic()


if __name__ == "__main__":
    main()
