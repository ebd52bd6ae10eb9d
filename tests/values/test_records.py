"""Laws of columns of raw records."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.records import Records, concat
from tests.pipeline.polls import make_records, places, polls


def whole(made: list[Records]) -> Records:
    return concat(made) if made else make_records([])


def knows_its_positions(records: Records) -> bool:
    found = [records.position(row) for row in range(len(records))]
    return places(records) == [b"%d/%d" % (source.partition, offset) for source, offset in found]


@given(made=polls(), data=st.data())
def test_taken_rows_keep_their_columns_and_their_positions(made: list[Records], data: st.DataObject) -> None:
    records = whole(made)
    mask = data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))
    rows = np.flatnonzero(np.array(mask, dtype=np.bool_))
    taken = records.take(rows)
    assert places(taken) == [place for place, kept in zip(places(records), mask, strict=True) if kept]
    assert taken.keys == [records.keys[row] for row in rows]
    assert taken.timestamps_ms.tolist() == [records.timestamps_ms[row] for row in rows]
    assert knows_its_positions(taken)


@given(made=polls())
def test_neighbours_of_one_partition_become_one_run(made: list[Records]) -> None:
    records = whole(made)
    runs = records.take(np.arange(len(records))).runs
    assert all(one.source != next_one.source for one, next_one in pairwise(runs))
    assert [run.start for run in runs] == [0, *(run.stop for run in runs)][: len(runs)]


def test_rows_of_two_assignments_of_a_partition_stay_apart() -> None:
    both = concat([make_records([(0, 1)], epoch=1), make_records([(0, 1)], epoch=2)])
    assert [run.epoch for run in both.take(np.array([0, 1])).runs] == [1, 2]
