"""Polls made up for tests: records whose values say where they come from."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from stream_infer.records import Partition, Records, Run

TOPIC = "events"


def make_records(
    rows: Sequence[tuple[int, int]], *, epoch: int = 1, arrived_s: float = 0.0, topic: str = TOPIC
) -> Records:
    """Return records at (partition, offset) rows, in that order, each with its place as its value."""
    partitions = [partition for partition, _ in rows]
    edges = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(partitions)) if a != b), len(rows)]
    runs = [
        Run(Partition(topic, partitions[start]), epoch, start, stop) for start, stop in pairwise(edges) if stop > start
    ]
    return Records(
        runs=tuple(runs),
        offsets=np.array([offset for _, offset in rows], dtype=np.int64),
        timestamps_ms=np.array([1_700_000_000_000 + offset for _, offset in rows], dtype=np.int64),
        keys=[b"%d" % partition for partition, _ in rows],
        values=[b"%d/%d" % row for row in rows],
        headers=None,
        arrived_s=arrived_s,
    )


def places(records: Records) -> list[bytes]:
    """Return what identifies each row."""
    return [value for value in records.values if value is not None]


@st.composite
def polls(draw: st.DrawFn, *, partitions: int = 4, max_polls: int = 12, max_rows: int = 40) -> list[Records]:
    """Polls as Kafka gives them: any mix of partitions, ascending offsets with gaps in each, ascending times."""
    next_offset = [0] * partitions
    made: list[Records] = []
    now_s = 0.0
    for _ in range(draw(st.integers(0, max_polls))):
        rows = []
        for partition in draw(st.lists(st.integers(0, partitions - 1), max_size=max_rows)):
            next_offset[partition] += draw(st.sampled_from([1, 1, 1, 2, 7]))
            rows.append((partition, next_offset[partition]))
        now_s += draw(st.sampled_from([0.0, 0.001, 0.004, 0.02]))
        made.append(make_records(rows, arrived_s=now_s))
    return made
