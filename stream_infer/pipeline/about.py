"""About: what a line of the log says of a batch's records."""

from typing import Final

from stream_infer.records import Partition, Records

MOST_PARTITIONS: Final = 8


def offsets_of(records: Records) -> str | None:
    """Return the first and the last offset in each partition, of the first eight; None without any."""
    ends: dict[Partition, tuple[int, int]] = {}
    for run in records.runs:
        first, last = int(records.offsets[run.start]), int(records.offsets[run.stop - 1])
        known_first, known_last = ends.get(run.source, (first, last))
        ends[run.source] = min(first, known_first), max(last, known_last)
    named = [f"{source} {first}-{last}" for source, (first, last) in sorted(ends.items())]
    shown = ", ".join(named[:MOST_PARTITIONS])
    return (shown + ", ..." if len(named) > MOST_PARTITIONS else shown) or None
