"""Workers that die and workers that come while a version rolls, under constant load."""

from collections.abc import Callable

import pytest

from tests.checker.history import STABLE
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.group import members
from tests.end_to_end.job import Job, JobMaker
from tests.end_to_end.rollouts import Rollout, rolling

PER_SECOND = 2000
V1_AND_V2 = {"1": 0, "2": 1}
SLOW = "slow"
SLOW_S = 3.0
ON_THE_WAY = ("FETCHING", "VERIFYING", "LOADING", "WARMING")
LIMITS = {"model": {"load_memory_limit_bytes": 1 << 30, "load_timeout_s": 40}}


def test_a_worker_that_dies_in_the_middle_of_a_swap_and_one_that_joins_in_another_cost_nothing(
    make_job: JobMaker,
) -> None:
    job = with_slow(make_job(versions=V1_AND_V2, settings=LIMITS))
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        rollout.tell_version(SLOW)
        rollout.until_any(SLOW, *ON_THE_WAY)
        rollout.kill("worker-a")
        rollout.until_serving(SLOW)
        rollout.tell_version("2")
        rollout.start("worker-c")
        rollout.until_serving("2")
        until_shared(rollout)
        rollout.tell_version(SLOW)
        rollout.start("worker-d")
        rollout.until_serving(SLOW)
        until_shared(rollout)
        rollout.until_more_answers(PER_SECOND)


def good(rollout: Rollout) -> None:
    rollout.tell_version("2")


def slow(rollout: Rollout) -> None:
    rollout.tell_version(SLOW)


def corrupt(rollout: Rollout) -> None:
    rollout.tell_version("corrupt")


def aborting(rollout: Rollout) -> None:
    rollout.tell_version("aborting")


def killed(rollout: Rollout) -> None:
    rollout.tell_version("2")
    rollout.kill("worker-b")


def back(rollout: Rollout) -> None:
    rollout.tell_version("2")
    rollout.until_serving("2")
    rollout.tell_version("1")


EVENTS: dict[Callable[[Rollout], None], str] = {
    good: "2",
    slow: SLOW,
    corrupt: "1",
    aborting: "1",
    killed: "2",
    back: "1",
}


@pytest.mark.rollouts_full
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_third_worker_that_starts_during_it_comes_to_the_same_version(
    make_job: JobMaker, event: Callable[[Rollout], None]
) -> None:
    job = with_slow(make_job(versions=V1_AND_V2, settings=LIMITS))
    bad.write_corrupt(job.repository, "corrupt")
    bad.write_aborting(job.repository, "aborting")
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        event(rollout)
        rollout.start("worker-c")
        rollout.until(lambda: all(answers(rollout, name, EVENTS[event]) for name in rollout.names), "all agree")
        until_shared(rollout)
        rollout.until_more_answers(PER_SECOND)
        assert all(answers(rollout, name, EVENTS[event]) for name in rollout.names)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(bad.ABORT_IN_A_WORKER, id="aborts"),
        pytest.param(bad.HANG_IN_A_WORKER, id="hangs", marks=pytest.mark.rollouts_full),
    ],
)
def test_a_version_that_ends_the_worker_itself_is_tried_twice_and_then_an_earlier_one_serves(
    make_job: JobMaker, code: str
) -> None:
    job = make_job(versions=V1_AND_V2, settings={"model": {"load_timeout_s": 20}})
    bad.write_running(job.repository, "deadly", code)
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        rollout.start("worker-a")
        rollout.until_serving("1")
        rollout.tell_version("2")
        rollout.until_serving("2")
        rollout.tell_version("deadly")
        for _ in range(2):
            assert rollout.ended("worker-a") != 0
            rollout.start("worker-a")
        rollout.until(lambda: answers(rollout, "worker-a", "2"), "the version before serves")
        rollout.until_state("deadly", "FAILED")
        rollout.drain_all()


def test_a_worker_that_starts_refuses_what_those_that_ran_refused(make_job: JobMaker) -> None:
    job = make_job(versions=V1_AND_V2, settings=LIMITS)
    bad.write_longer_scores(job.repository, "wider")
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        rollout.start("worker-a")
        rollout.until_serving("1")
        rollout.tell_version("2")
        rollout.until_serving("2")
        rollout.tell_version("wider")
        rollout.until_state("wider", "FAILED")
        rollout.kill("worker-a")
        rollout.start("worker-b")
        rollout.until(lambda: answers(rollout, "worker-b", "2"), "the version before serves")
        refused = rollout.statuses.of("worker-b", "wider")
        assert refused is not None
        assert (refused.state, "answers otherwise than 2" in (refused.reason or "")) == ("FAILED", True)
        rollout.drain_all()


def with_slow(job: Job) -> Job:
    """Write a good version that takes seconds to load."""
    job.knows(bad.write_slow_to_load(job.repository, SLOW, seconds=SLOW_S, seed=3))
    return job


def answers(rollout: Rollout, name: str, version: str) -> bool:
    """Return whether a worker says that a version is what it serves, under whatever revision."""
    said = rollout.statuses.of(name, version)
    return said is not None and (said.state, said.variant) == ("ACTIVE", STABLE)


def until_shared(rollout: Rollout) -> None:
    """Return when every worker of the crew holds partitions."""
    job = rollout.job
    rollout.crew.until(
        lambda: (
            len(held := members(job.bootstrap_servers, job.application_id)) == len(rollout.names) and all(held.values())
        ),
        what="every worker holds partitions",
    )
