"""From librdkafka's message objects to columns: the one place that touches each message."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError, Message
from numpy.typing import NDArray

from stream_infer.logs import Repeated
from stream_infer.records import Headers, Partition, Records, Run, count_bytes

repeated = Repeated(logging.getLogger(__name__))

Epochs = Mapping[Partition, int]

_STAMP: Final = itemgetter(1)
"""Of the kind and the milliseconds that librdkafka gives."""
LONG_SPAN: Final = 64
"""Rows of a partition from which on it pays to look at the first and the last of them before the others."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """A message that is none: what librdkafka has to say about a partition or the whole consumer."""

    message: Message
    error: KafkaError


def split_errors(messages: Sequence[Message]) -> tuple[Sequence[Message], list[Faulty]]:
    """Return the messages that are records, in order, and those that are errors."""
    # Told apart by identity: a KafkaError that is compared with None leaves a Python error behind it.
    faulty = [error for error in map(Message.error, messages) if error is not None]
    if not faulty:
        return messages, []
    errors = [(message, message.error()) for message in messages]
    return (
        [message for message, error in errors if error is None],
        [Faulty(message, error) for message, error in errors if error is not None],
    )


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought: columns over all partitions, in the order in which they were read."""

    records: Records
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class _Noted:
    """What is known of messages besides keys and values; `spans` are the neighbouring rows of one partition.

    `sizes` is None where they have to be counted.
    """

    spans: Sequence[tuple[int, int]]
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    headers: list[Headers | None] | None
    sizes: NDArray[np.int64] | None


def read_columns(
    messages: Sequence[Message],
    *,
    epochs: Epochs,
    arrived_s: float,
    reads: NDArray[Any] | None = None,
    same_topic: bool = False,
) -> Polled:
    """Return the messages as columns; runs of partitions without an entry in `epochs` are left out.

    `messages` is not empty and carries no errors. `reads` are the rows of `reads.READ` for them; without these the
    messages are asked, and `same_topic` says that all are known to be of one topic. The methods are mapped unbound
    because that is the cheapest way to read a field of many message objects (about 30 ns each).
    """
    keys, values = list(map(Message.key, messages)), list(map(Message.value, messages))
    noted = _ask(messages, same_topic=same_topic) if reads is None else _look_up(reads, messages)
    sizes = count_bytes(keys, values, noted.headers) if noted.sizes is None else noted.sizes
    runs = tuple(_runs(messages, noted.spans, epochs=epochs))
    records = Records(
        runs, noted.offsets, noted.timestamps_ms, keys, values, noted.headers, arrived_s=arrived_s, sizes=sizes
    )
    polled = Polled(records, messages)
    if sum(map(len, runs)) == len(messages):
        return polled
    return select_runs(polled, runs)


def select_runs(polled: Polled, runs: Sequence[Run]) -> Polled:
    """Return only the rows of `runs`, renumbered, in their order."""
    kept = [message for run in runs for message in polled.messages[run.start : run.stop]]
    return Polled(polled.records.choose(runs), kept)


def _look_up(reads: NDArray[Any], messages: Sequence[Message]) -> _Noted:
    partitions, topics = reads["partition"], reads["topic"]
    changes = (partitions[1:] != partitions[:-1]) | (topics[1:] != topics[:-1])
    headers = _headers(messages) if reads["has_headers"].any() else None
    sizes = reads["size"].copy() if headers is None else None
    return _Noted(_spans(changes), reads["offset"].copy(), reads["timestamp_ms"].copy(), headers, sizes)


def _ask(messages: Sequence[Message], *, same_topic: bool) -> _Noted:
    spans = _spans(_boundaries(messages, same_topic=same_topic))
    stamps = np.fromiter(map(_STAMP, map(Message.timestamp, messages)), dtype=np.int64, count=len(messages))
    return _Noted(spans, _offsets(messages, spans), stamps, _headers(messages), None)


def _headers(messages: Sequence[Message]) -> list[Headers | None] | None:
    """Return the headers of each message, None when none has any."""
    try:
        # librdkafka gives lists of (str, bytes or None); its stubs allow more.
        whole: list[Any] = list(map(Message.headers, messages))
    except (SystemError, UnicodeDecodeError):
        whole = [headers_of(message) for message in messages]
    # Counted first, because that is the usual answer, and found without asking each for its truth.
    return None if whole.count(None) == len(whole) or not any(whole) else whole


def headers_of(message: Message) -> Headers | None:
    """Return the headers of one message, None where it has none.

    The client fails on a header whose name is no UTF-8; such a record is scored as if it had no headers.
    """
    try:
        headers: Any = message.headers()
    except (SystemError, UnicodeDecodeError):
        text = "%s offset %s has a header whose name is no UTF-8: its headers are left out"
        repeated.warning(text, source_of(message), message.offset())
        return None
    found: Headers | None = headers
    return found


def _offsets(messages: Sequence[Message], spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Return the offset of each message; `spans` are the neighbouring rows of one partition, whose offsets ascend.

    A partition is read anew only between two polls, or by a rebalance inside one, whose rows before that are void.
    """
    count = len(messages)
    if count < LONG_SPAN * len(spans):
        return np.fromiter(map(Message.offset, messages), dtype=np.int64, count=count)
    return np.concatenate([_offsets_of(messages[start:stop]) for start, stop in spans])


def _offsets_of(span: Sequence[Message]) -> NDArray[np.int64]:
    first, last = int(span[0].offset() or 0), int(span[-1].offset() or 0)
    if last - first == len(span) - 1:
        # None is missing, so that those in between need not be read.
        return np.arange(first, last + 1, dtype=np.int64)
    return np.fromiter(map(Message.offset, span), dtype=np.int64, count=len(span))


def _runs(messages: Sequence[Message], spans: Sequence[tuple[int, int]], *, epochs: Epochs) -> Iterator[Run]:
    for start, stop in spans:
        source = source_of(messages[start])
        epoch = epochs.get(source)
        if epoch is not None:
            yield Run(source, epoch, start, stop)


def source_of(message: Message) -> Partition:
    """Return the partition that a message was read from."""
    return Partition(str(message.topic()), int(message.partition() or 0))


def _spans(changes: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the rows between changes; the first says whether the second row is of another partition than the first."""
    edges = (np.flatnonzero(changes) + 1).tolist()
    return list(zip([0, *edges], [*edges, len(changes) + 1], strict=True))


def _boundaries(messages: Sequence[Message], *, same_topic: bool) -> NDArray[np.bool_]:
    count = len(messages)
    partitions = np.fromiter(map(Message.partition, messages), dtype=np.int32, count=count)
    changes: NDArray[np.bool_] = np.diff(partitions) != 0
    topics = [] if same_topic else list(map(Message.topic, messages))
    if topics and topics.count(topics[0]) != count:
        changes |= _changes(topics)
    return changes


def _changes(topics: list[str | None]) -> NDArray[np.bool_]:
    return np.fromiter((left != right for left, right in pairwise(topics)), dtype=np.bool_, count=len(topics) - 1)
