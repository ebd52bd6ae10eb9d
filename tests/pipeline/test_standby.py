"""What is done for versions that do not serve: between live batches, and never before one."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch

from stream_infer.model import InferenceFailed, LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.testing.device import LaterDevice
from tests.pipeline.rolled import broken, named
from tests.pipeline.scored import Ground, load


@pytest.fixture
def ground(loaded: LoadedVersion) -> Ground:
    made = Ground(loaded)
    made.assign(0)
    return made


@pytest.fixture
def own(model: Path) -> LoadedVersion:
    """A version that a test may release: no other test uses its weights."""
    return load(model, batch_size=8)


def watched(version: LoadedVersion, name: str, tell: Callable[[int], None]) -> LoadedVersion:
    """Return a version that tells how many rows each call has."""

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        tell(len(tensors[0]))
        return version.call(*tensors)

    return replace(version, version=name, call=call)


def test_a_version_is_warmed_at_one_size_a_turn_and_answered_after_the_last(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.poll([ground.value(1)] * 5)
    ground.turn()
    called: list[int] = []
    answer = ground.inbox.warm(watched(loaded, "2", called.append))
    seen: list[list[int]] = []
    while not answer.done():
        ground.scorer.turn()
        seen.append([size for size, _ in groupby(called)])
        called.clear()
    assert seen == [[size] for size in loaded.warm_sizes(8, 5)]
    assert answer.result(0) is None


def test_a_live_batch_goes_before_the_warm_call_of_its_turn(ground: Ground, loaded: LoadedVersion) -> None:
    order: list[str] = []
    ground.slot.swap(Serving(0, watched(loaded, "1", lambda _rows: order.append("live"))))
    ground.inbox.warm(watched(loaded, "2", lambda _rows: order.append("warm")))
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    assert order[0] == "live"
    assert "warm" in order


def test_a_version_that_fails_when_it_is_warmed_is_refused_and_the_live_one_goes_on(
    ground: Ground, loaded: LoadedVersion
) -> None:
    answers = [ground.inbox.warm(broken(loaded, "2")), ground.inbox.warm(named(loaded, "3"))]
    ground.poll([ground.value(1)] * 8)
    ground.turn(10)
    with pytest.raises(InferenceFailed, match="version 2 failed"):
        answers[0].result(0)
    assert answers[1].result(0) is None
    assert len(ground.producer.sent) == 8


def test_calls_for_an_answer_that_is_cancelled_are_not_made(ground: Ground, loaded: LoadedVersion) -> None:
    called: list[int] = []
    ground.inbox.warm(watched(loaded, "2", called.append)).cancel()
    ground.turn(5)
    assert not called


def test_a_warm_call_can_be_seen_while_it_runs(ground: Ground, loaded: LoadedVersion) -> None:
    seen: list[float | None] = []
    ground.inbox.warm(watched(loaded, "2", lambda _rows: seen.append(ground.scorer.calling_since_s)))
    ground.turn(5)
    assert seen
    assert None not in seen
    assert ground.scorer.calling_since_s is None


def test_a_version_is_released_after_its_last_batch_and_its_last_lease(
    loaded: LoadedVersion, own: LoadedVersion
) -> None:
    device = LaterDevice()
    first, second = replace(own, device=device), replace(loaded, device=device, version="2")
    ground = Ground(first, max_concurrent_batches=3)
    ground.assign(0)
    with ground.slot.lease():
        ground.poll([ground.value(1)] * 8)
        ground.turn()
        ground.inbox.serve(Serving(2, second))
        released = ground.inbox.release(first)
        ground.turn(3)
        assert not released.done()
    ground.turn()
    assert released.result(0) is None
    ground.inbox.drain()
    ground.turn()
    assert [one["model_version"] for one in ground.predictions()] == ["1"] * 8


def test_a_version_that_serves_is_not_released(loaded: LoadedVersion, own: LoadedVersion) -> None:
    ground = Ground(own)
    ground.assign(0)
    released = ground.inbox.release(own)
    ground.poll([ground.value(1)] * 8)
    ground.turn(3)
    assert not released.done()
    ground.inbox.serve(Serving(2, named(loaded, "2")))
    ground.turn()
    assert released.result(0) is None


def test_a_version_that_is_released_is_warmed_no_more(ground: Ground, own: LoadedVersion) -> None:
    warmed, released = ground.inbox.warm(own), ground.inbox.release(own)
    ground.turn(2)
    assert released.result(0) is None
    with pytest.raises(CancelledError):
        warmed.result(0)
