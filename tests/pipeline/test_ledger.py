"""Laws of the positions."""

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
