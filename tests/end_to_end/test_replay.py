"""Dead letters that another version can score: looked at, sent back, and answered as the records that they were."""

import json
import subprocess
from contextlib import closing
from typing import Any

import pytest
import torch
from torch import nn

from stream_infer.testing.models import seeded_mlp, write_module
from tests.checker.history import History
from tests.end_to_end.events import Sent, encode, make_events
from tests.end_to_end.harness import SCRIPTS, Crew, environment
from tests.end_to_end.job import CLASSES, WIDTH, Job, JobMaker, Settings, reference_of
from tests.end_to_end.rollouts import Rollout

GOOD = 400
HARD = 60
SHORT = 5
COMMAND_TIMEOUT_S = 240
WORKER = "only"


class Fussy(nn.Module):
    """Gives NaN where the first feature is beyond 100."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded_mlp([WIDTH, 4, CLASSES])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nan = torch.full_like(x[:, :1], torch.nan)
        return self.inner(x) + torch.where(x[:, :1] > 100.0, nan, torch.zeros_like(nan))  # type: ignore[no-any-return] # torch types a call as Any


def write_fussy(job: Job, version: str) -> None:
    """Write the version and let the checker know its network, which scores what it does not refuse."""
    manifest = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [WIDTH]}],
        "outputs": {"task": "classification", "activation": "softmax"},
    }
    module = Fussy()
    write_module(job.repository, module, version=version, manifest=manifest)
    job.references[version] = reference_of(module.inner.state_dict())


def event(name: str, features: list[float]) -> bytes:
    return encode({"event_id": name, "entity_id": name, "event_time": 0, "features": features})


def mixed() -> list[Sent]:
    """Return good events, and among them some that only version 2 scores and some that nobody can."""
    hard = [Sent(event(f"hard-{n}", [101.0] * WIDTH), b"hard-%d" % n if n % 2 else None) for n in range(HARD)]
    short = [Sent(event(f"short-{n}", [1.0]), b"short-%d" % n) for n in range(SHORT)]
    events = make_events(GOOD, width=WIDTH)
    for number, one in enumerate([*hard, *short]):
        events.insert(4 + 6 * number, one)
    return events


def dlq(job: Job, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(SCRIPTS / "stream-infer"), "dlq", *words],
        env=environment(job.config),
        cwd=job.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=True,
    )


def counts(job: Job) -> dict[tuple[str, str], int]:
    """Return how many dead letters there are of each reason and model version."""
    listed: dict[str, Any] = json.loads(dlq(job, "list", "--json").stdout)
    return {(one["reason"], one["model_version"]): one["letters"] for one in listed["reasons"]}


@pytest.mark.parametrize("guarantee", [pytest.param("at_least_once", marks=pytest.mark.faults), "exactly_once_v2"])
def test_dead_letters_are_sent_back_and_answered_as_the_records_that_they_were(
    make_job: JobMaker, guarantee: str
) -> None:
    settings: Settings = {
        "delivery": {"processing_guarantee": guarantee, "commit_interval_ms": 200},
        "model": {"version": "1"},
        "batching": {"max_batch_size": 16},
    }
    job = make_job(versions={"2": 2}, settings=settings, retry=True)
    write_fussy(job, "1")
    job.send(mixed())
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        with closing(rollout.statuses):
            rollout.start(WORKER)
            crew.until_done()
            assert counts(job) == {("non_finite", "1"): HARD, ("wrong_length", "1"): SHORT}
            rollout.tell_version("2")
            rollout.until_serving("2")
            replay(job, crew)
            rollout.drain_all()
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert_answered_once(history)
    shown = json.loads(dlq(job, "show", "--reason", "wrong_length").stdout)
    assert shown["value"]["features"] == [1.0]
    assert shown["original"]["topic"] == job.input


def replay(job: Job, crew: Crew) -> None:
    """Send everything back, wait until it is answered or refused again, and see that nothing goes twice."""
    planned = dlq(job, "replay", "--dry-run").stderr
    assert planned == f"{HARD + SHORT} dead letters would be sent to {job.retry}.\n"
    assert dlq(job, "replay").stderr == f"{HARD + SHORT} dead letters sent to {job.retry}.\n"
    crew.until(lambda: len(job.history().predictions) == GOOD + HARD, what="what was sent back is answered")
    crew.until(lambda: counts(job).get(("wrong_length", "2")) == SHORT, what="what nobody can score is refused again")
    left = f"{HARD + SHORT} left: replayed already; {SHORT} left: tried 1 times already (--max-attempts)"
    again = dlq(job, "replay", "--max-attempts", "1").stderr
    assert again == f"0 dead letters sent to {job.retry}; {left}.\n"


def assert_answered_once(history: History) -> None:
    """Raise AssertionError unless every event that can be scored has one answer, which names it and has its key."""
    answers = {one.source: one for one in history.predictions}
    assert len(answers) == len(history.predictions) == GOOD + HARD
    refused = {one.source for one in history.dead_letters}
    assert len(refused) == HARD + SHORT
    assert {one.source for one in history.predictions if one.version == "2"} < refused
    events = {event.place: event for event in history.events}
    assert {place: (one.key, one.event_id) for place, one in answers.items()} == {
        place: (events[place].key, events[place].event_id) for place in answers
    }
