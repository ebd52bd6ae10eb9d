"""A model that answers nothing usable eats no topic, not even by restarts, and another version answers everything."""

from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch import nn

from stream_infer.testing.models import seeded_mlp, write_module
from tests.checker.laws import unanswered
from tests.end_to_end.asking import ask, is_ready
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import Crew, WorkerProcess
from tests.end_to_end.job import CLASSES, WIDTH, JobMaker
from tests.end_to_end.rollouts import Rollout

EVENTS = 3_000
WORKER = "only"
HUGE = 1e30


def write_useless(repository: Path, version: str) -> None:
    """Write a version that scores zeros and gives NaN for everything else."""
    module = Useless()
    manifest = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [WIDTH]}],
        "outputs": {"task": "classification", "activation": "softmax"},
    }
    write_module(repository, module, version=version, manifest=manifest)


class Useless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded_mlp([WIDTH, 4, CLASSES])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        infinite_or_zero = x.abs().sum(dim=1, keepdim=True) * HUGE * HUGE
        return self.inner(x) + infinite_or_zero * 0.0  # type: ignore[no-any-return] # torch types a call as Any


def until_stopped(crew: Crew, worker: WorkerProcess) -> None:
    """Return when the worker says that too much is refused; nothing must be written or committed then."""
    crew.until(lambda: "were refused" in str(ask(worker, "/ready")[1]), what="the worker stops")
    assert ask(worker, "/ready")[0] == 503
    assert ask(worker, "/health")[0] == 200
    seen = crew.watch.observe()
    assert sum(seen.committed.values()) == 0
    assert sum(seen.ends.values()) == 0


@pytest.mark.parametrize("guarantee", [pytest.param("at_least_once", marks=pytest.mark.faults), "exactly_once_v2"])
def test_a_model_that_refuses_everything_eats_nothing_and_another_version_answers_all(
    make_job: JobMaker, guarantee: str
) -> None:
    limit = {"max_ratio": 0.5, "min_records": 500, "window_s": 60}
    delivery = {"processing_guarantee": guarantee, "dead_letter_limit": limit, "commit_interval_ms": 200}
    job = make_job(versions={"2": 2}, settings={"delivery": delivery, "model": {"version": "1"}})
    write_useless(job.repository, "1")
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        with closing(rollout.statuses):
            rollout.start(WORKER)
            until_stopped(crew, rollout.names[WORKER])
            rollout.kill(WORKER)
            rollout.start(WORKER)
            until_stopped(crew, rollout.names[WORKER])
            rollout.tell_version("2")
            rollout.until_serving("2")
            crew.until_done()
            assert is_ready(rollout.names[WORKER])
            rollout.drain_all()
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert not unanswered(history)
    assert len(history.predictions) == EVENTS
    assert history.dead_letters == []
