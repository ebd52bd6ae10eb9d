"""Laws of the batcher."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.pipeline.batch import Batch, Batcher, HeadStart, Trigger
from stream_infer.records import Records
from tests.pipeline.polls import make_records, places, polls

SIZES = st.integers(1, 50)
DELAYS = st.sampled_from([0.0, 0.002, 0.005, 0.1])


def run(made: list[Records], *, size: int, delay_s: float) -> list[tuple[float, Batch]]:
    """Feed polls at their arrival with a device that is always free; return every batch with the time it was cut."""
    batcher = Batcher(max_queue_delay_s=delay_s)
    cut: list[tuple[float, Batch]] = []

    def cut_all(now_s: float, *, drain: bool = False) -> None:
        while (batch := batcher.next_batch(now_s, max_batch_size=size, drain=drain)) is not None:
            cut.append((now_s, batch))

    for poll in made:
        while (due_s := batcher.due_s()) is not None and due_s <= poll.arrived_s:
            cut_all(due_s)
        batcher.add(poll)
        cut_all(poll.arrived_s)
    cut_all(made[-1].arrived_s if made else 0.0, drain=True)
    assert len(batcher) == 0
    return cut


@given(made=polls(), size=SIZES, delay_s=DELAYS)
def test_every_record_is_in_exactly_one_batch_in_arrival_order(made: list[Records], size: int, delay_s: float) -> None:
    batches = run(made, size=size, delay_s=delay_s)
    assert [place for _, batch in batches for place in places(batch.records)] == [
        place for poll in made for place in places(poll)
    ]


@given(made=polls(), size=SIZES, delay_s=DELAYS)
def test_no_batch_is_empty_or_over_its_size(made: list[Records], size: int, delay_s: float) -> None:
    assert all(1 <= len(batch.records) <= size for _, batch in run(made, size=size, delay_s=delay_s))


@given(made=polls(), size=SIZES, delay_s=DELAYS)
def test_no_record_waits_longer_than_the_delay_while_the_device_is_free(
    made: list[Records], size: int, delay_s: float
) -> None:
    for now_s, batch in run(made, size=size, delay_s=delay_s):
        assert now_s <= batch.records.arrived_s + delay_s


@given(made=polls(), size=SIZES, delay_s=DELAYS)
def test_a_batch_knows_the_position_of_each_of_its_rows(made: list[Records], size: int, delay_s: float) -> None:
    for _, batch in run(made, size=size, delay_s=delay_s):
        for row, place in enumerate(places(batch.records)):
            source, offset = batch.records.position(row)
            assert place == b"%d/%d" % (source.partition, offset)


@given(made=polls(), size=SIZES)
def test_only_a_full_batch_is_cut_for_its_size(made: list[Records], size: int) -> None:
    for _, batch in run(made, size=size, delay_s=0.005):
        assert batch.trigger is not Trigger.SIZE or len(batch.records) == size


@given(took_s=st.lists(st.sampled_from([0.0, 0.0002, 0.001, 0.004, 0.02]), max_size=200))
def test_a_head_start_is_never_more_than_a_quarter_of_the_delay_nor_than_the_way_to_the_model(
    took_s: list[float],
) -> None:
    head_start = HeadStart(max_queue_delay_s=0.005)
    for each in took_s:
        head_start.note(each)
        assert 0.0 <= head_start.seconds <= min(0.00125, max(took_s))


def test_a_batch_is_cut_so_soon_that_the_model_is_called_at_its_deadline() -> None:
    way_s, head_start = 0.0004, HeadStart(max_queue_delay_s=0.005)
    for _ in range(100):
        head_start.note(way_s)
    batcher = Batcher(max_queue_delay_s=0.005, head_start=head_start)
    batcher.add(make_records([(0, 1)], arrived_s=10.0))
    assert batcher.due_s() == pytest.approx(10.005 - way_s, abs=1e-5)


def test_what_is_held_up_by_other_work_says_nothing_of_the_way() -> None:
    head_start = HeadStart(max_queue_delay_s=1.0)
    head_start.note(0.0021)
    assert head_start.seconds == 0.0


def test_without_a_delay_there_is_no_head_start() -> None:
    head_start = HeadStart(max_queue_delay_s=0.0)
    head_start.note(0.001)
    assert head_start.seconds == 0.0


def test_the_delay_counts_from_the_oldest_record_and_not_from_the_newest() -> None:
    batcher = Batcher(max_queue_delay_s=0.005)
    batcher.add(make_records([(0, 1)], arrived_s=10.000))
    batcher.add(make_records([(0, 2)], arrived_s=10.004))
    assert batcher.next_batch(10.0049, max_batch_size=8) is None
    batch = batcher.next_batch(10.005, max_batch_size=8)
    assert batch is not None
    assert places(batch.records) == [b"0/1", b"0/2"]


def test_a_delay_of_zero_takes_what_is_there() -> None:
    batcher = Batcher(max_queue_delay_s=0.0)
    batcher.add(make_records([(0, 1), (1, 5)], arrived_s=3.0))
    batch = batcher.next_batch(3.0, max_batch_size=8)
    assert batch is not None
    assert len(batch.records) == 2
