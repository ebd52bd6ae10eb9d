"""Origin: a record of the retry topic says which input record it is; its answer names that one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from stream_infer.records import Headers, Partition, Place, Records

TOPIC: Final = "stream_infer.original_topic"
PARTITION: Final = "stream_infer.original_partition"
OFFSET: Final = "stream_infer.original_offset"
ATTEMPT: Final = "stream_infer.attempt"
RETRY_HEADERS: Final = frozenset({TOPIC, PARTITION, OFFSET, ATTEMPT})


def with_origins(records: Records, retry_topic: str) -> Records:
    """Return the records with the origins that the headers of those from the retry topic name.

    One whose headers do not name any, which somebody else wrote there, is its own origin. Headers of input records mean
    nothing: whoever writes those must not choose whose answer they get.
    """
    if all(run.source.topic != retry_topic for run in records.runs):
        return records
    return replace(records, origins=list(_origins(records, retry_topic)))


def origin_headers(origin: Place, *, attempt: int) -> Headers:
    """Return the headers of a retry record."""
    return [
        (TOPIC, origin.source.topic.encode()),
        (PARTITION, b"%d" % origin.source.partition),
        (OFFSET, b"%d" % origin.offset),
        (ATTEMPT, b"%d" % attempt),
    ]


def read_origin(headers: Headers | None) -> Place | None:
    """Return the origin that a retry record's headers name; None when they name none."""
    said = dict(headers or ())
    topic, partition, offset = said.get(TOPIC), said.get(PARTITION), said.get(OFFSET)
    if not topic or not partition or not offset or not (partition.isdigit() and offset.isdigit()):
        return None
    try:
        return Place(Partition(topic.decode(), int(partition)), int(offset))
    except UnicodeDecodeError:
        return None


def read_attempt(headers: Headers | None) -> int:
    """Return which attempt a record is: 0 for one that never came from the retry topic."""
    said = dict(headers or ()).get(ATTEMPT) or b""
    return int(said) if said.isdigit() else 0


def _origins(records: Records, retry_topic: str) -> Iterator[Place | None]:
    for run in records.runs:
        for row in range(run.start, run.stop):
            yield read_origin(records.headers[row]) if records.headers and run.source.topic == retry_topic else None
