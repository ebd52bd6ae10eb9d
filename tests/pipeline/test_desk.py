"""Rows that did not come from Kafka: one call of theirs a turn, behind the live batch, and nothing of them counted."""

from dataclasses import replace

import pyarrow as pa
import pytest
import torch

from stream_infer.errors import Drained, Reason
from stream_infer.model import DeviceLost, LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline.infer import Inferred
from stream_infer.pipeline.isolate import ModelBroken
from stream_infer.testing.device import LaterDevice
from tests.pipeline.rolled import broken
from tests.pipeline.scored import Ground


@pytest.fixture
def ground(loaded: LoadedVersion) -> Ground:
    made = Ground(loaded)
    made.assign(0)
    return made


def features(*first: float) -> pa.RecordBatch:
    rows = [[one, 0.0] for one in first]
    return pa.RecordBatch.from_pydict({"features": pa.array(rows, pa.list_(pa.float32()))})


def test_rows_are_scored_as_on_the_stream(ground: Ground) -> None:
    asked = ground.inbox.score(ground.slot.serving, features(1, 2), non_finite=None)
    ground.scorer.turn()
    inferred: Inferred = asked.result(0)
    assert inferred.scored is not None
    assert inferred.scored.scores.tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert inferred.rejects == ()
    assert ground.producer.sent == []
    assert ground.committed.commits == []


def test_a_turn_does_one_call_for_those_who_ask_and_the_live_batch_before_it(
    ground: Ground, loaded: LoadedVersion
) -> None:
    order: list[int] = []

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        order.append(len(tensors[0]))
        return loaded.call(*tensors)

    ground.slot.swap(Serving(0, replace(loaded, call=call)))
    asked = [ground.inbox.score(ground.slot.serving, features(1, 2, 3), non_finite=None) for _ in range(3)]
    ground.poll([ground.value(1)] * 8)
    seen = []
    while not all(one.done() for one in asked):
        ground.turn()
        seen.append(order.copy())
        order.clear()
    assert seen == [[8, 3], [3], [3]]


def test_a_row_that_the_model_fails_on_is_named_and_its_mates_are_scored(ground: Ground) -> None:
    asked = ground.inbox.score(ground.slot.serving, features(1, 99, 2), non_finite=None)
    ground.scorer.turn()
    inferred = asked.result(0)
    assert [(one.row, one.reason) for one in inferred.rejects] == [(1, Reason.MODEL_ERROR)]
    assert inferred.rows.tolist() == [0, 2]


def test_a_row_without_finite_scores_is_treated_as_the_settings_say(ground: Ground) -> None:
    letters, nulls = (
        ground.inbox.score(ground.slot.serving, features(3), non_finite=policy) for policy in ("dead_letter", None)
    )
    ground.turn(2)
    assert [one.reason for one in letters.result(0).rejects] == [Reason.NON_FINITE]
    scored = nulls.result(0).scored
    assert scored is not None
    assert scored.prediction_column().to_pylist() == [None]


def test_a_model_that_fails_on_everything_is_told_to_who_asked_and_the_stream_goes_on(
    ground: Ground, loaded: LoadedVersion
) -> None:
    asked = ground.inbox.score(Serving(0, broken(loaded, "2")), features(1, 2), non_finite=None)
    ground.poll([ground.value(1)])
    ground.turn(3, after_s=2.0)
    assert isinstance(asked.exception(0), ModelBroken)
    assert len(ground.predictions()) == 1
    assert ground.scorer.stopped is None


def test_a_lost_device_ends_the_worker_whoever_called(ground: Ground, loaded: LoadedVersion) -> None:
    device = LaterDevice()
    device.is_lost = True
    lost = replace(broken(loaded, "2"), device=device)
    asked = ground.inbox.score(Serving(0, lost), features(1), non_finite=None)
    with pytest.raises(DeviceLost):
        ground.scorer.turn()
    assert isinstance(asked.exception(0), DeviceLost)


def test_nobody_works_for_an_answer_that_was_given_up(ground: Ground, loaded: LoadedVersion) -> None:
    called: list[int] = []

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        called.append(1)
        return loaded.call(*tensors)

    serving = Serving(0, replace(loaded, call=call))
    given_up, wanted = (ground.inbox.score(serving, features(1), non_finite=None) for _ in range(2))
    given_up.cancel()
    ground.turn()
    assert wanted.done()
    assert called == [1]


def test_what_waits_when_the_worker_ends_is_refused(ground: Ground) -> None:
    asked = ground.inbox.score(ground.slot.serving, features(1), non_finite=None)
    drained = ground.inbox.drain()
    ground.scorer.turn()
    ground.inbox.close(Drained("the worker has drained"))
    assert drained.result(0) == {}
    assert isinstance(asked.exception(0), Drained)
