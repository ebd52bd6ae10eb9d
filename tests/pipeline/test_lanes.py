"""Laws of the lanes: which rows go together, and in which order, whatever serves."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.batch import Trigger
from stream_infer.pipeline.commit import NEVER
from stream_infer.pipeline.lanes import Dealt, Lanes
from stream_infer.records import Records
from tests.pipeline.polls import make_records, places, polls

DELAY_S = 0.005


@dataclass(frozen=True, slots=True)
class ByPlace:
    """Sends a share of the rows to the canary, by what they hold."""

    percent: int

    def canary_rows(self, records: Records) -> NDArray[np.bool_]:
        return np.array([self.takes(place) for place in places(records)], dtype=np.bool_)

    def takes(self, place: bytes) -> bool:
        return crc32(place) % 100 < self.percent


def serving(version: LoadedVersion, percent: int | None) -> Serving:
    """Return what serves with a canary of `percent`; None stands for no canary."""
    if percent is None:
        return Serving(1, version)
    return Serving(1, version, replace(version), ByPlace(percent))


def lanes_for(what: Serving, *, size: int = 8) -> Lanes:
    return Lanes(what, max_batch_size=size, max_queue_delay_s=DELAY_S)


def cut_all(lanes: Lanes, now_s: float, *, drain: bool = False) -> Iterator[Dealt]:
    while (dealt := lanes.next_batch(now_s, drain=drain)) is not None:
        yield dealt


def offsets_by_partition(dealt: Sequence[Dealt]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for one in dealt:
        for row in range(len(one.records)):
            source, offset = one.records.position(row)
            found[source.partition].append(offset)
    return found


PERCENTS = st.sampled_from([None, 0, 10, 50, 100])


@given(made=polls(), percent=PERCENTS, size=st.integers(1, 30))
@settings(deadline=None)
def test_every_row_is_in_one_batch_of_the_variant_that_the_router_names(
    loaded: LoadedVersion, made: list[Records], percent: int | None, size: int
) -> None:
    what = serving(loaded, percent)
    lanes, cut = lanes_for(what, size=size), list[Dealt]()
    for poll in made:
        lanes.add(poll)
        cut += cut_all(lanes, poll.arrived_s)
    cut += cut_all(lanes, NEVER, drain=True)
    assert len(lanes) == 0
    assert sorted(place for one in cut for place in places(one.records)) == sorted(
        place for poll in made for place in places(poll)
    )
    for one in cut:
        assert 1 <= len(one.records) <= size
        for place in places(one.records):
            canary = percent is not None and ByPlace(percent).takes(place)
            assert one.variant is (Variant.CANARY if canary else Variant.STABLE)


@given(made=polls(), percents=st.lists(PERCENTS, min_size=1, max_size=6), size=st.integers(1, 30), data=st.data())
@settings(deadline=None)
def test_rows_of_a_partition_keep_their_order_in_their_lane_whatever_is_served_meanwhile(
    loaded: LoadedVersion, made: list[Records], percents: list[int | None], size: int, data: st.DataObject
) -> None:
    lanes = lanes_for(serving(loaded, percents[0]), size=size)
    for percent in percents:
        cut: list[Dealt] = []
        lanes.serve(serving(loaded, percent))
        for _ in range(data.draw(st.integers(0, 3))):
            if made:
                lanes.add(made.pop(0))
                cut += cut_all(lanes, 0.0)
        given_back = data.draw(st.integers(0, len(cut)))
        lanes.serve(serving(loaded, percent), returned=[one.records for one in cut[len(cut) - given_back :]])
        cut = cut[: len(cut) - given_back]
        for variant in Variant:
            offsets = offsets_by_partition([one for one in cut if one.variant is variant])
            assert all(left < right for some in offsets.values() for left, right in pairwise(some))
    lanes.serve(serving(loaded, None))
    rest = offsets_by_partition(list(cut_all(lanes, NEVER, drain=True)))
    assert all(left < right for some in rest.values() for left, right in pairwise(some))


def test_the_lane_whose_oldest_row_came_first_is_cut_first(loaded: LoadedVersion) -> None:
    rows = [(0, offset) for offset in range(40)]
    lanes = lanes_for(serving(loaded, 50), size=64)
    for number, row in enumerate(rows):
        lanes.add(make_records([row], arrived_s=number * 0.001))
    first, second = cut_all(lanes, 1.0)
    assert first.variant is (Variant.CANARY if ByPlace(50).takes(b"0/0") else Variant.STABLE)
    assert first.records.arrived_s < second.records.arrived_s


def test_a_drain_takes_what_waits_longest_first(loaded: LoadedVersion) -> None:
    lanes = lanes_for(serving(loaded, 50), size=2)
    for offset in range(40):
        lanes.add(make_records([(0, offset)], arrived_s=offset * 0.001))
    arrived = [one.records.arrived_s for one in cut_all(lanes, 0.0, drain=True)]
    assert arrived == sorted(arrived)


@given(made=polls(), percent=PERCENTS)
@settings(deadline=None)
def test_no_row_waits_longer_than_the_delay_while_the_device_is_free(
    loaded: LoadedVersion, made: list[Records], percent: int | None
) -> None:
    lanes = lanes_for(serving(loaded, percent), size=16)
    for poll in made:
        while (due_s := lanes.due_s()) <= poll.arrived_s:
            dealt = lanes.next_batch(max(due_s, 0.0))
            assert dealt is not None
            assert dealt.trigger is Trigger.SIZE or due_s <= dealt.records.arrived_s + DELAY_S
        lanes.add(poll)


def test_a_version_that_takes_less_rows_lowers_the_size_of_its_own_lane(loaded: LoadedVersion) -> None:
    small = replace(loaded, bound=replace(loaded.bound, high=3))
    lanes = lanes_for(Serving(1, loaded, small, ByPlace(50)), size=8)
    lanes.add(make_records([(0, offset) for offset in range(200)]))
    sizes = {(one.variant, len(one.records)) for one in cut_all(lanes, 0.0)}
    assert sizes == {(Variant.STABLE, 8), (Variant.CANARY, 3)}


def test_without_a_canary_rows_are_not_copied(loaded: LoadedVersion) -> None:
    lanes = lanes_for(serving(loaded, None))
    poll = make_records([(0, offset) for offset in range(8)])
    lanes.add(poll)
    (dealt,) = cut_all(lanes, 0.0)
    assert np.shares_memory(dealt.records.offsets, poll.offsets)


def test_a_canary_needs_a_router(loaded: LoadedVersion) -> None:
    with pytest.raises(ValueError, match="revision 4 has a canary or a router, expected both or neither"):
        Serving(4, loaded, loaded)


def called_late(lanes: Lanes, way_s: float, *, rows: int = 1) -> float:
    """Let a batch be cut when it is due and its model be called after `way_s`; return how late after its arrival."""
    lanes.add(make_records([(0, row) for row in range(rows)], arrived_s=10.0))
    cut_s = max(lanes.due_s(), 10.0)
    dealt = lanes.next_batch(cut_s)
    assert dealt is not None
    lanes.note_call(dealt, cut_s + way_s)
    return cut_s + way_s - 10.0


def test_the_model_comes_to_be_called_at_the_deadline_however_long_the_way_there_is(loaded: LoadedVersion) -> None:
    lanes = lanes_for(serving(loaded, None))
    assert called_late(lanes, 0.0005) == pytest.approx(DELAY_S + 0.0005)
    late = [called_late(lanes, 0.0005) for _ in range(100)]
    assert late[-1] == pytest.approx(DELAY_S, abs=1e-5)


def test_what_is_known_of_the_way_stays_when_something_else_serves(loaded: LoadedVersion) -> None:
    lanes = lanes_for(serving(loaded, None))
    for _ in range(100):
        called_late(lanes, 0.0005)
    lanes.serve(serving(loaded, 30))
    lanes.serve(serving(loaded, None))
    assert called_late(lanes, 0.0005) == pytest.approx(DELAY_S, abs=1e-5)


def test_a_batch_that_was_full_says_nothing_of_deadlines(loaded: LoadedVersion) -> None:
    lanes = lanes_for(serving(loaded, None), size=4)
    for _ in range(100):
        called_late(lanes, 0.0005, rows=4)
    assert called_late(lanes, 0.0) == pytest.approx(DELAY_S)
