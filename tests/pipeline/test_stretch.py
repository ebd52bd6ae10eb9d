"""Batches that go through the path together are answered as if each had gone alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline.batch import Batcher, Trigger
from stream_infer.pipeline.stretch import MOST_ROWS, QUEUE_SHARE, TARGET_S, Stretch
from stream_infer.records import Records
from tests.pipeline.polls import places, polls
from tests.pipeline.scored import KNOWN, QUEUE_LIMIT, Ground

SIZE = 8
ENCODE = {"stage": "encode"}
MOST = QUEUE_LIMIT // QUEUE_SHARE // SIZE
"""Batches that one stretch of the ground may have."""


@pytest.fixture
def ground(model: Path) -> Ground:
    made = Ground(model, max_batch_size=SIZE)
    made.assign(0)
    return made


def drain(ground: Ground) -> None:
    ground.inbox.drain()
    ground.turn()


@given(
    rows=st.integers(1, 10_000),
    took_s=st.floats(0.0, 10.0),
    limit=st.integers(1, 100_000),
    later_s=st.floats(0.1, 10.0),
)
def test_a_stretch_takes_about_as_long_as_it_should_and_has_no_more_rows_than_are_of_use(
    rows: int, took_s: float, limit: int, later_s: float
) -> None:
    stretch = Stretch(queue_limit_records=limit)
    stretch.note(rows, took_s=took_s)
    assert 0 <= stretch.rows <= min(MOST_ROWS, limit // QUEUE_SHARE)
    assert stretch.rows * took_s <= rows * TARGET_S
    before = stretch.rows
    stretch.note(0, took_s=later_s)
    assert stretch.rows == before


def test_before_anything_was_measured_every_batch_goes_alone() -> None:
    assert Stretch(queue_limit_records=100_000).rows == 0


@given(made=polls(), size=st.integers(1, 50), most=st.integers(1, 5))
def test_only_full_batches_are_cut_together_and_no_record_is_lost_or_overtaken(
    made: list[Records], size: int, most: int
) -> None:
    batcher = Batcher(max_queue_delay_s=1.0)
    for poll in made:
        batcher.add(poll)
    cut = []
    while (batch := batcher.next_batch(0.0, max_batch_size=size, most=most, drain=True)) is not None:
        cut.append(batch)
        together = len(batch.records) // size
        assert batch.trigger is Trigger.DRAIN or (len(batch.records) == together * size and together <= most)
    assert [place for batch in cut for place in places(batch.records)] == [
        place for poll in made for place in places(poll)
    ]


def test_the_model_is_called_with_a_batch_at_a_time_and_answers_come_in_stretches(loaded: LoadedVersion) -> None:
    called: list[int] = []

    def counting(*tensors: torch.Tensor) -> torch.Tensor:
        called.append(len(tensors[0]))
        return loaded.call(*tensors)

    ground = Ground(replace(loaded, call=counting), max_batch_size=SIZE)
    ground.assign(0)
    ground.poll([ground.value(row % 3) for row in range((2 * MOST + 1) * SIZE + 3)])
    for _ in range(3):
        ground.turn()
    drain(ground)
    assert [one["scores"] for one in ground.predictions()] == [
        [2.0 * (row % 3), 2.0 * (row % 3) + 1] for row in range((2 * MOST + 1) * SIZE + 3)
    ]
    assert called == [SIZE] * (2 * MOST + 1) + [3]
    assert ground.metrics.totals().batches == len(called)
    # One batch before anything was measured, two stretches, and the rest.
    assert ground.metrics.registry.get_sample_value("stream_infer_stage_duration_seconds_count", ENCODE) == 4


def test_a_record_that_the_model_fails_on_costs_its_own_batch_a_second_look_and_the_others_nothing(
    ground: Ground,
) -> None:
    bad = {5, 2 * SIZE, 2 * SIZE + 3}
    count = SIZE * (MOST + 2)
    ground.poll([ground.value(KNOWN + 5 if row in bad else 1) for row in range(count)])
    drain(ground)
    assert [one["source_offset"] for one in ground.predictions()] == [row for row in range(count) if row not in bad]
    assert len(ground.dead_letters()) == len(bad)


def test_a_model_that_answers_in_memory_it_uses_again_is_answered_for_as_it_answered(loaded: LoadedVersion) -> None:
    shared = torch.empty(SIZE, 2)

    def reusing(*tensors: torch.Tensor) -> torch.Tensor:
        rows = len(tensors[0])
        shared[:rows] = loaded.call(*tensors)
        return shared[:rows]

    ground = Ground(replace(loaded, call=reusing), max_batch_size=SIZE)
    ground.assign(0)
    ground.poll([ground.value(row % 3) for row in range(SIZE * (MOST + 1))])
    drain(ground)
    assert [one["scores"] for one in ground.predictions()] == [
        [2.0 * (row % 3), 2.0 * (row % 3) + 1] for row in range(SIZE * (MOST + 1))
    ]


def test_a_model_that_fails_from_the_middle_of_a_stretch_on_stops_before_its_records_are_refused(
    ground: Ground,
) -> None:
    count = SIZE * (MOST + 1)
    ground.poll([ground.value(1 if row < 2 * SIZE else KNOWN + 5) for row in range(count)])
    drain(ground)
    assert ground.scorer.stopped is not None
    assert ground.dead_letters() == []


def test_the_first_stretch_of_another_version_is_one_batch(ground: Ground, loaded: LoadedVersion) -> None:
    ground.poll([ground.value(1)] * (SIZE * (MOST + 1)))
    ground.turn(2)
    ground.poll([ground.value(1)] * (SIZE * 3), offset=SIZE * (MOST + 1))
    answer = ground.inbox.serve(Serving(1, loaded))
    before = ground.metrics.totals().batches
    ground.turn()
    assert answer.result(0) is None
    assert ground.metrics.totals().batches == before + 1
