"""Batches of a partition as they lie in the log: who wrote them and inside a transaction or not, which no client tells.

Kafka's own protocol over a plain connection: Fetch version 4, batches of format 2.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient

from tests.checker.history import Partition

REQUEST_TIMEOUT_S: Final = 30.0
FETCH_BYTES: Final = 8_000_000
FETCH, VERSION, NO_REPLICA, UNCOMMITTED = 1, 4, -1, 0
CLIENT: Final = b"checker"
HEAD: Final = struct.Struct(">qiibIhiqqqhii")
BEFORE_LENGTH_ENDS: Final = 12
COMPRESSION, TRANSACTIONAL, CONTROL = 0x07, 0x10, 0x20
COMMIT_MARKER: Final = 1


class Entry(NamedTuple):
    """One record of a batch, without its headers."""

    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that were written together; `producer` is -1 for one that is not idempotent."""

    lane: Partition
    first: int
    last: int
    producer: int
    epoch: int
    attributes: int
    count: int
    body: bytes

    @property
    def is_transactional(self) -> bool:
        """Whether it belongs to a transaction."""
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_marker(self) -> bool:
        """Whether it is no data and ends a transaction."""
        return bool(self.attributes & CONTROL)

    def commits(self) -> bool:
        """Whether a marker says that its producer's transaction counts."""
        key = next(self.entries()).key or b""
        return bool(struct.unpack_from(">hh", key)[1] == COMMIT_MARKER)

    def entries(self) -> Iterator[Entry]:
        """Yield the records; raises ValueError for a compressed batch."""
        if self.attributes & COMPRESSION:
            raise ValueError(f"the batch at {self.lane}, {self.first} is compressed")
        at = 0
        for _ in range(self.count):
            length, at = _varint(self.body, at)
            end = at + length
            # One byte of attributes, then the time and the offset as differences.
            _, at = _varint(self.body, at + 1)
            _, at = _varint(self.body, at)
            key, at = _bytes(self.body, at)
            value, _ = _bytes(self.body, at)
            yield Entry(key, value)
            at = end


def read_batches(bootstrap_servers: str, topic: str) -> Iterator[Batch]:
    """Yield every batch that the topic holds now, each partition's in its order, whatever became of transactions."""
    metadata = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0}).list_topics(
        topic, timeout=REQUEST_TIMEOUT_S
    )
    for number, known in sorted(metadata.topics[topic].partitions.items()):
        leader = metadata.brokers[known.leader]
        with closing(socket.create_connection((leader.host, leader.port), REQUEST_TIMEOUT_S)) as connection:
            yield from _to_the_end(connection, Partition(topic, number))


def _to_the_end(connection: socket.socket, lane: Partition) -> Iterator[Batch]:
    offset, end = 0, None
    while end is None or offset < end:
        high, records = _fetch(connection, lane, offset)
        end = high if end is None else end
        batches = list(_split(lane, records))
        if not batches and offset < end:
            raise RuntimeError(f"{lane}: nothing came from {offset} on, and it ends at {end}")
        yield from (batch for batch in batches if offset <= batch.last and batch.first < end)
        offset = batches[-1].last + 1 if batches else offset


def _fetch(connection: socket.socket, lane: Partition, offset: int) -> tuple[int, bytes]:
    """Return the high watermark and the bytes from a batch on that holds `offset` or begins behind it."""
    topic = lane.topic.encode()
    head = struct.pack(f">hhih{len(CLIENT)}s", FETCH, VERSION, 0, len(CLIENT), CLIENT)
    limits = struct.pack(">iiiib", NO_REPLICA, 0, 0, FETCH_BYTES, UNCOMMITTED)
    asked = struct.pack(f">ih{len(topic)}siiqi", 1, len(topic), topic, 1, lane.partition, offset, FETCH_BYTES)
    request = head + limits + asked
    connection.sendall(struct.pack(">i", len(request)) + request)
    answer = _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])
    # Correlation, throttling, one topic with its name, one partition.
    at = struct.calcsize(f">iiih{len(topic)}si")
    _, error, high, _, aborted = struct.unpack_from(">ihqqi", answer, at)
    if error:
        raise RuntimeError(f"{lane}: the broker answers {error} when asked for offset {offset}")
    at += struct.calcsize(">ihqqi") + max(aborted, 0) * struct.calcsize(">qq")
    return high, answer[at + 4 :]


def _split(lane: Partition, records: bytes) -> Iterator[Batch]:
    """Yield the whole batches; the last one may be cut off."""
    at = 0
    while at + HEAD.size <= len(records):
        first, length, _, _, _, attributes, span, _, _, producer, epoch, _, count = HEAD.unpack_from(records, at)
        end = at + BEFORE_LENGTH_ENDS + length
        if end > len(records):
            return
        body = records[at + HEAD.size : end]
        yield Batch(lane, first, first + span, producer, epoch, attributes, count, body)
        at = end


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionError("the broker closed the connection")
        received += part
    return bytes(received)


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(body, at)
    return (None, at) if length < 0 else (body[at : at + length], at + length)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and where it ends."""
    number = shift = 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
