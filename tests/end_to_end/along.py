"""A reader of committed records that reads along while workers run."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.checker.history import Place
from tests.checker.reading import place_of

READ_AT_ONCE = 5_000
POLL_S = 0.5
REQUEST_TIMEOUT_S = 60.0


@contextmanager
def reading_along(bootstrap_servers: str, topics: Sequence[str]) -> Iterator[Sequence[Place]]:
    """Give the places of the records that a thread reads while the block runs; they grow until it has ended."""
    properties = {"bootstrap.servers": bootstrap_servers, "group.id": "reads-along", "log_level": 0}
    consumer = Consumer(properties | {"isolation.level": "read_committed"})
    known = {topic: consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions for topic in topics}
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in known[topic]])
    places: list[Place] = []
    ending = threading.Event()
    thread = threading.Thread(target=_read, args=(consumer, places, ending))
    thread.start()
    try:
        yield places
    finally:
        ending.set()
        thread.join()
        consumer.close()


def _read(consumer: Consumer, places: list[Place], ending: threading.Event) -> None:
    while not ending.is_set():
        read = consumer.consume(READ_AT_ONCE, POLL_S)
        places += [place_of(message) for message in read if message.error() is None]
