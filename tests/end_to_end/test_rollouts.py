"""Versions roll on two workers under constant load: good ones, and each kind of bad one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from stream_infer.testing.models import MadeVersion
from tests.checker.history import CANARY, WorkerSaid
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.job import CLASSES, MODEL, Job, JobMaker
from tests.end_to_end.rollouts import Rollout, rolling

PER_SECOND = 2000
V1_AND_V2 = {"1": 0, "2": 1}
# Nothing is kept for a rollback: every swap is a load.
LOAD_EVERY_TIME = {"model": {"keep_previous_s": 0, "load_memory_limit_bytes": 1 << 30, "load_timeout_s": 40}}
SLOW_S = 3.0


@dataclass(frozen=True, slots=True)
class Bad:
    """How to write a bad version, a word that its failure must say, and how its control record pins it."""

    write: bad.Write
    word: str
    pinned: Mapping[str, str] = field(default_factory=dict)


BAD = {
    "failing-golden": Bad(bad.write_wrong_golden, "golden"),
    "aborting": Bad(bad.write_aborting, "ended"),
    "longer": Bad(bad.write_longer_scores, str(CLASSES + 1)),
    "wrong-digest": Bad(bad.write_longer_scores, "0" * 64, {"sha256": "0" * 64}),
    "corrupt": Bad(bad.write_corrupt, "sha256"),
    "no-program": Bad(bad.write_no_program, "cannot be loaded"),
    "eating-memory": Bad(bad.write_eating_memory, "bytes"),
    "unknown-field": Bad(bad.write_unknown_field, "fingerprint"),
}
SHORT_LIST = ["failing-golden", "aborting", "longer", "wrong-digest"]


@pytest.mark.parametrize("swaps", [6, pytest.param(20, marks=pytest.mark.rollouts_full)])
def test_swaps_under_load_lose_nothing_and_each_partition_changes_once_a_rollout(
    make_job: JobMaker, swaps: int
) -> None:
    job = make_job(versions=V1_AND_V2, settings=LOAD_EVERY_TIME)
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        for number in range(swaps):
            version = "2" if number % 2 == 0 else "1"
            rollout.tell_version(version)
            rollout.until_serving(version)
            rollout.until_more_answers(PER_SECOND // 4)
    history = job.history(())
    assert {one.revision for one in history.predictions} == set(range(swaps + 1))


@pytest.mark.parametrize("names", [SHORT_LIST, pytest.param(list(BAD), marks=pytest.mark.rollouts_full)], ids=len)
def test_no_bad_version_ever_serves_and_none_costs_a_worker_or_a_record(
    make_job: JobMaker, names: Sequence[str]
) -> None:
    job = make_job(versions=V1_AND_V2, settings=LOAD_EVERY_TIME)
    for name in names:
        BAD[name].write(job.repository, name)
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        for name in names:
            assert_refused(rollout, name, BAD[name])
        rollout.tell_version("2")
        rollout.until_serving("2")
    assert {one.version for one in job.history(()).predictions} == {"1", "2"}


def test_records_that_do_not_count_change_nothing_are_reported_and_mislead_no_worker_that_starts(
    make_job: JobMaker,
) -> None:
    job = make_job(versions=V1_AND_V2)
    refused = [
        b"{",
        b'{"model":"default","revision":0,"stable":{"version":"2"}}',
        b'{"model":"default","stable":{}}',
        json.dumps({"model": MODEL, "revision": 1, "stable": {"version": "1"}}).encode(),
    ]
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        rollout.tell_version("2")
        rollout.until_serving("2")
        for value in refused:
            rollout.tell(value)
        rollout.tell({"model": "another", "stable": {"version": "1"}}, key="another")
        rollout.until(lambda: all(len(one.reported) == len(refused) for one in newest(rollout)), "all is reported")
        rollout.until_more_answers(PER_SECOND)
        rollout.drain_all()
        rollout.start("worker-c", "worker-d")
        rollout.until_serving("2")


def test_a_canary_answers_its_keys_alone_until_it_is_promoted(make_job: JobMaker) -> None:
    job = make_job(versions=V1_AND_V2)
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        for percent in (20.0, 50.0):
            canary = {"version": "2", "percent": percent, "seed": "default/1"}
            rollout.tell_version("1", canary=canary)
            rollout.until_serving("2", variant=CANARY)
            rollout.until_more_answers(PER_SECOND)
        rollout.tell_version("2")
        rollout.until_serving("2")
    answers = {(one.revision, one.variant, one.version) for one in job.history(()).predictions}
    assert answers >= {(1, "canary", "2"), (1, "stable", "1"), (2, "canary", "2"), (2, "stable", "1")}
    assert (3, "stable", "2") in answers


def test_a_canary_past_its_limit_sends_its_share_back_to_stable_on_each_worker_which_reports_it(
    make_job: JobMaker,
) -> None:
    job = make_job(versions=V1_AND_V2)
    bad.write_not_a_number(job.repository, "nan")
    limits = {"max_nonfinite_ratio": 0.1, "window_s": 60, "min_records": 100}
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        rollout.tell_version("1", canary={"version": "nan", "percent": 10, "limits": limits})
        rollout.until(lambda: all(one.tripped for one in newest(rollout)), "every worker has tripped")
        refused = len(job.history().dead_letters)
        rollout.until_more_answers(PER_SECOND)
        assert len(job.history().dead_letters) - refused < PER_SECOND // 100
        assert refused >= limits["min_records"]


def test_a_newer_desired_state_supersedes_a_load_and_a_slow_load_serves_when_it_is_there(make_job: JobMaker) -> None:
    job = make_job(versions=V1_AND_V2)
    slow = with_slow(job, "slow")
    with rolling(job, "worker-a", per_second=PER_SECOND) as rollout:
        rollout.tell_version("slow")
        rollout.until_any("slow", "FETCHING", "VERIFYING", "LOADING")
        rollout.tell_version("2")
        rollout.until_serving("2")
        rollout.tell_version("slow")
        rollout.until_serving("slow")
        said = rollout.statuses.of("worker-a", "slow")
        assert said is not None
        assert said.digest == slow.digest


def with_slow(job: Job, version: str) -> MadeVersion:
    """Write a good version that takes seconds to load."""
    made = bad.write_slow_to_load(job.repository, version, seconds=SLOW_S, seed=3)
    job.knows(made)
    return made


def assert_refused(rollout: Rollout, version: str, kind: Bad) -> None:
    """Roll a bad version: every worker must say why it failed, while version 1 goes on serving."""
    rollout.tell_version(version, pinned=kind.pinned)
    rollout.until_state(version, "FAILED")
    assert [reason for reason in rollout.reasons(version) if kind.word not in str(reason)] == []
    assert [rollout.state(name, "1") for name in rollout.names] == ["ACTIVE"] * len(rollout.names)
    rollout.until_more_answers(PER_SECOND // 4)


def newest(rollout: Rollout) -> Sequence[WorkerSaid]:
    return [rollout.statuses.newest[name] for name in rollout.names]
