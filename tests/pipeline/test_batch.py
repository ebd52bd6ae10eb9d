"""Laws of the batcher."""

from hypothesis import given
from hypothesis import strategies as st

from stream_infer.pipeline.batch import Batch, Batcher, Trigger
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
