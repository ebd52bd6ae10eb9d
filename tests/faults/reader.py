"""A reader of committed records that reads along while the faults happen, and the same topic read afterwards."""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

READ_AT_ONCE = 5_000
POLL_S = 0.5
REQUEST_TIMEOUT_S = 60.0
READ_SHARE = 0.9
Seen = tuple[int, int]
"""Offset and checksum of a record."""


class ReadingAlong:
    """Reads a topic from a thread of its own, `isolation.level=read_committed`, until it is told to end."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        properties = {"bootstrap.servers": bootstrap_servers, "group.id": "reads-along", "log_level": 0}
        self._consumer = Consumer(properties | {"isolation.level": "read_committed", "enable.auto.commit": False})
        self._topic = topic
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen: dict[int, list[Seen]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read while the block runs."""
        known = self._consumer.list_topics(self._topic, timeout=REQUEST_TIMEOUT_S).topics[self._topic].partitions
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in known])
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()
            self._consumer.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            for message in self._consumer.consume(READ_AT_ONCE, POLL_S):
                if message.error() is None:
                    self.seen.setdefault(int(message.partition() or 0), []).append(seen(message))


def seen(message: Message) -> Seen:
    """Return what is remembered of a record."""
    return int(message.offset() or 0), zlib.crc32(message.value() or b"")


def differences(along: dict[int, list[Seen]], afterwards: dict[int, list[Seen]]) -> list[str]:
    """Say where the two readings differ; who read along may end before the last records, but not long before."""
    there, read = sum(map(len, afterwards.values())), sum(map(len, along.values()))
    found = [] if read >= READ_SHARE * there else [f"a reader of committed records saw {read} of {there} records"]
    for partition, first in along.items():
        second = afterwards.get(partition, [])
        if first != second[: len(first)]:
            offset = next((one[0] for one, other in zip(first, second, strict=False) if one != other), len(second))
            found.append(f"partition {partition}: a reader of committed records saw other ones at offset {offset}")
        again = [offset for offset, same in groupby(first, key=lambda one: one[0]) if len(list(same)) > 1]
        found += [f"partition {partition}: offset {offset} was seen twice" for offset in again]
    return found
