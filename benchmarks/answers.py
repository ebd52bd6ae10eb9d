"""When each event was due and when its prediction was appended, read from the topics after a run.

The timestamp of an event is when it was due; that of a prediction is the broker's time of the append, because its topic
has `message.timestamp.type=LogAppendTime`. A prediction names the position of its event. Both are whole milliseconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Message, TopicPartition
from numpy.typing import NDArray

from benchmarks.job import PREDICTION
from benchmarks.windows import Arrivals, Floats
from stream_infer.avro import Decoder
from stream_infer.clock import SystemClock

AT_ONCE = 10_000
WAIT_S = 1.0
TIMEOUT_S = 10.0
MAX_RECORD_BYTES = 1 << 20

Integers = NDArray[np.int64]
Times = Mapping[int, Floats]
"""Milliseconds since 1970 by partition and offset, NaN where there is none."""


def read_all(bootstrap_servers: str, topic: str) -> Iterator[Sequence[Message]]:
    """Yield the committed records that a topic holds now, some thousands at a time."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reads-answers",
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 1,
        }
    )
    known: Any = consumer.list_topics(topic, timeout=TIMEOUT_S)
    partitions = known.topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    left = len(partitions)
    try:
        while left:
            messages = consumer.consume(AT_ONCE, WAIT_S)
            found = [one for one in messages if one.error() is None]
            left -= len(messages) - len(found)
            if found:
                yield found
    finally:
        consumer.close()


def due_times(bootstrap_servers: str, topic: str) -> Times:
    """Return when each event was due."""
    read = [_positions(messages) for messages in read_all(bootstrap_servers, topic)]
    partitions, offsets, times = (np.concatenate(column) for column in zip(*read, strict=True))
    return {int(one): by_offset(offsets[partitions == one], times[partitions == one]) for one in np.unique(partitions)}


def _positions(messages: Sequence[Message]) -> tuple[Integers, Integers, Floats]:
    """Return partitions, offsets and timestamps of records."""
    count = len(messages)
    partitions = np.fromiter(map(Message.partition, messages), np.int64, count)
    return partitions, np.fromiter(map(Message.offset, messages), np.int64, count), _stamps(messages)


def _stamps(messages: Sequence[Message]) -> Floats:
    return np.array([float(one.timestamp()[1]) for one in messages])


def by_offset(offsets: Integers, times: Floats) -> Floats:
    """Return times as an array whose index is the offset."""
    array = np.full(int(offsets.max()) + 1, np.nan)
    array[offsets] = times
    return array


def append_times(bootstrap_servers: str, topic: str, *, due: Times) -> Times:
    """Return when the first prediction of each event was appended."""
    first = {partition: np.full(len(times), np.nan) for partition, times in due.items()}
    decoder = prediction_decoder()
    for messages in read_all(bootstrap_servers, topic):
        columns = decoder.decode([one.value() for one in messages], None).columns
        partitions = columns.column("source_partition").to_numpy()
        offsets = columns.column("source_offset").to_numpy()
        note_first(first, partitions, offsets, appended=_stamps(messages))
    return first


def note_first(first: Times, partitions: NDArray[np.int32], offsets: Integers, *, appended: Floats) -> None:
    """Keep the earliest time of each position."""
    for partition, times in first.items():
        mine = partitions == partition
        np.fmin.at(times, offsets[mine], appended[mine])


def prediction_decoder() -> Decoder:
    """Return a decoder of predictions in single-object form."""
    return Decoder(
        PREDICTION,
        input_format="single_object",
        sources=None,
        local=[PREDICTION],
        max_record_bytes=MAX_RECORD_BYTES,
        clock=SystemClock(),
        fields=["source_partition", "source_offset"],
    )


def joined(due: Times, appended: Times, *, given_up_ms: float) -> tuple[Arrivals, int]:
    """Return every event with its answer, and how many have none: those count as answered at `given_up_ms`."""
    partitions = sorted(due)
    due_ms = np.concatenate([due[one] for one in partitions])
    read_ms = np.concatenate([appended[one] for one in partitions])
    events = ~np.isnan(due_ms)
    due_ms, read_ms = due_ms[events], read_ms[events]
    missing = np.isnan(read_ms)
    return Arrivals(due_ms, np.where(missing, given_up_ms, read_ms)), int(missing.sum())
