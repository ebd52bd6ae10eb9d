"""Laws of the positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import Stop
from stream_infer.pipeline.ledger import Ledger
from stream_infer.records import Assigned, Partition, Position, Records
from tests.pipeline.polls import TOPIC, make_records, polls

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


def ledger_for(*, epoch: int = 1, partitions: int = 4) -> Ledger:
    ledger = Ledger()
    ledger.assign([Assigned(Partition(TOPIC, number), epoch, None) for number in range(partitions)])
    return ledger


@given(made=polls(), finished=st.integers(0, 12))
def test_a_position_is_one_more_than_the_last_finished_row_of_its_partition(made: list[Records], finished: int) -> None:
    ledger = ledger_for()
    expected: dict[Partition, Position] = {}
    for number, poll in enumerate(made):
        ledger.read(poll)
        if number < finished:
            ledger.finish(poll)
            for row in range(len(poll)):
                source, offset = poll.position(row)
                expected[source] = Position(1, offset + 1)
    assert ledger.uncommitted() == expected


def test_a_confirmed_position_is_not_committed_again() -> None:
    ledger = ledger_for()
    records = make_records([(0, 5), (1, 9)])
    ledger.read(records)
    ledger.finish(records)
    ledger.confirm(P0, 6)
    assert ledger.uncommitted() == {P1: Position(1, 10)}


def test_a_row_that_is_delivered_twice_stops_the_worker() -> None:
    ledger = ledger_for()
    ledger.read(make_records([(0, 5)]))
    with pytest.raises(Stop, match=r"events\[0\] delivered offset 5 again: expected 6 or later"):
        ledger.read(make_records([(0, 5)]))


def test_gaps_in_offsets_are_allowed() -> None:
    ledger = ledger_for()
    ledger.read(make_records([(0, 5)]))
    ledger.read(make_records([(0, 900)]))
    ledger.finish(make_records([(0, 5), (0, 900)]))
    assert ledger.uncommitted() == {P0: Position(1, 901)}


def test_a_partition_that_was_forgotten_moves_no_more() -> None:
    ledger = ledger_for()
    records = make_records([(0, 5), (1, 9)])
    ledger.read(records)
    ledger.forget([P0])
    ledger.finish(records)
    assert ledger.uncommitted() == {P1: Position(1, 10)}


def test_rows_of_an_assignment_that_ended_are_void() -> None:
    ledger = ledger_for(epoch=1)
    old = make_records([(0, 5)], epoch=1)
    ledger.assign([Assigned(P0, 2, 3, committed=True)])
    assert not ledger.is_valid(old.runs[0])
    ledger.finish(old)
    assert ledger.uncommitted() == {}
    assert ledger.is_valid(make_records([(0, 3)], epoch=2).runs[0])


@given(order=st.permutations(range(8)), count=st.integers(0, 8))
def test_acknowledgements_move_the_position_over_the_unbroken_run_only(order: list[int], count: int) -> None:
    offsets = [3, 4, 5, 9, 10, 20, 21, 22]
    ledger = ledger_for()
    ledger.deliver(P0, epoch=1, offsets=offsets)
    acked = {offsets[index] for index in order[:count]}
    for index in order[:count]:
        ledger.acknowledge(P0, offsets[index])
    unbroken = 0
    while unbroken < len(offsets) and offsets[unbroken] in acked:
        unbroken += 1
    expected = {P0: Position(1, offsets[unbroken - 1] + 1)} if unbroken else {}
    assert ledger.uncommitted() == expected


def test_a_start_that_nobody_committed_is_a_position_to_commit() -> None:
    ledger = Ledger()
    ledger.assign([Assigned(P0, 1, 40, committed=False), Assigned(P1, 2, 50, committed=True)])
    assert ledger.uncommitted() == {P0: Position(1, 40)}


@given(made=polls(), data=st.data())
def test_committed_is_the_longest_unbroken_run_of_finished_rows_in_whatever_order_they_finish(
    made: list[Records], data: st.DataObject
) -> None:
    ledger = ledger_for()
    read: dict[Partition, list[int]] = {Partition(TOPIC, number): [] for number in range(4)}
    finished: set[tuple[Partition, int]] = set()
    waiting: list[Records] = []
    for poll in made:
        ledger.read(poll)
        for row in range(len(poll)):
            source, offset = poll.position(row)
            read[source].append(offset)
        waiting += pieces(poll, data)
        for _ in range(data.draw(st.integers(0, len(waiting)))):
            piece = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            ledger.finish(piece)
            finished |= {piece.position(row) for row in range(len(piece))}
        assert {source: position.offset for source, position in ledger.uncommitted().items()} == committed(
            read, finished
        )
        for source, offsets in read.items():
            unbroken = committed({source: offsets}, finished).get(source, 0)
            beyond = [offset for offset in offsets if offset >= unbroken and (source, offset) in finished]
            assert ledger.has_gaps([source]) == bool(beyond)
    for piece in waiting:
        ledger.finish(piece)
    assert not ledger.has_gaps(read)
    assert {source: one.offset for source, one in ledger.uncommitted().items()} == {
        source: offsets[-1] + 1 for source, offsets in read.items() if offsets
    }


def pieces(poll: Records, data: st.DataObject) -> list[Records]:
    """Return the rows of a poll in up to three lanes."""
    lanes = data.draw(st.lists(st.integers(0, 2), min_size=len(poll), max_size=len(poll)))
    return [poll.take(rows) for lane in range(3) if len(rows := np.flatnonzero(np.array(lanes) == lane))]


def committed(read: dict[Partition, list[int]], finished: set[tuple[Partition, int]]) -> dict[Partition, int]:
    """Return for each partition one more than the last row before which nothing is unfinished."""
    found = {}
    for source, offsets in read.items():
        for offset in offsets:
            if (source, offset) not in finished:
                break
            found[source] = offset + 1
    return found


def test_what_overtook_before_a_partition_was_lost_counts_for_nothing_when_it_comes_back() -> None:
    ledger = ledger_for()
    ledger.read(make_records([(0, 5), (0, 6), (1, 1)]))
    ledger.finish(make_records([(0, 6)]))
    assert ledger.has_gaps([P0])
    ledger.forget([P0])
    assert not ledger.has_gaps([P0, P1])
    ledger.assign([Assigned(P0, 2, 5, committed=True)])
    again = make_records([(0, 5), (0, 6)], epoch=2)
    ledger.read(again)
    ledger.finish(make_records([(0, 5), (0, 6)], epoch=1))
    assert ledger.uncommitted() == {}
    ledger.finish(again.slice(0, 1))
    assert ledger.uncommitted() == {P0: Position(2, 6)}


def test_one_row_may_be_left_behind_for_long_and_then_lets_all_others_go() -> None:
    ledger = ledger_for()
    rows = make_records([(0, offset) for offset in range(1000)])
    ledger.read(rows)
    for start in range(1, 1000, 37):
        ledger.finish(rows.slice(start, min(start + 37, 1000)))
    assert ledger.uncommitted() == {}
    ledger.finish(rows.slice(0, 1))
    assert ledger.uncommitted() == {P0: Position(1, 1000)}
