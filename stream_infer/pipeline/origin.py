"""Origin: a record of the retry topic says which input record it is; its answer names that one."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from stream_infer.records import Headers, Partition, Place, Records

TOPIC: Final = "stream_infer.original_topic"
PARTITION: Final = "stream_infer.original_partition"
OFFSET: Final = "stream_infer.original_offset"
ATTEMPT: Final = "stream_infer.attempt"
RETRY_HEADERS: Final = frozenset({TOPIC, PARTITION, OFFSET, ATTEMPT})
DECIMAL: Final = re.compile(rb"[0-9]{1,19}")
MOST_PARTITION: Final = 2**31 - 1
MOST_OFFSET: Final = 2**63 - 1


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
    topic = said.get(TOPIC)
    partition, offset = read_number(said.get(PARTITION), MOST_PARTITION), read_number(said.get(OFFSET), MOST_OFFSET)
    if not topic or partition is None or offset is None:
        return None
    try:
        return Place(Partition(topic.decode(), partition), offset)
    except UnicodeDecodeError:
        return None


def read_attempt(headers: Headers | None) -> int:
    """Return which attempt a record is: 0 for one that never came from the retry topic."""
    return read_number(dict(headers or ()).get(ATTEMPT), MOST_OFFSET) or 0


def read_number(text: bytes | None, most: int) -> int | None:
    """Return a whole number of decimal digits up to `most`; None for anything else, however long."""
    number = int(text) if text is not None and DECIMAL.fullmatch(text) else None
    return number if number is not None and number <= most else None


def _origins(records: Records, retry_topic: str) -> Iterator[Place | None]:
    for run in records.runs:
        for row in range(run.start, run.stop):
            yield read_origin(records.headers[row]) if records.headers and run.source.topic == retry_topic else None
