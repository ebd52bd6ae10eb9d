"""What /health and /ready say of a worker in each of its states, on a real Kafka; stopped for refusing too much: see
`test_refusal_limit`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.checker.laws import unanswered
from tests.end_to_end.asking import NOBODY, ask, is_ready
from tests.end_to_end.events import make_events
from tests.end_to_end.group import members
from tests.end_to_end.harness import Crew, WorkerProcess
from tests.end_to_end.job import WIDTH, Job, JobMaker
from tests.end_to_end.slow_model import VERSION, write_slow

NO_BROKER = "no broker has answered yet"
LOADING = "no version of the model serves yet"
NOT_JOINED = "the consumer group is not joined yet"
DRAINING = "the worker is draining"
HIDDEN = (16,)
BATCH = 64
EVENTS = 320
CALL_S = 1.0
START_S = 240.0
"""The slow model is tried in a child first, and two cores may be busy with other tests."""
Said = tuple[int, int, tuple[str, ...]]
"""The status of /health and of /ready, and the reasons of /ready."""


def said(worker: WorkerProcess) -> Said:
    """Return what the probes say now."""
    health, ready = ask(worker, "/health"), ask(worker, "/ready")
    return health[0], ready[0], tuple(ready[1].get("reasons", ()))


def until_said(crew: Crew, worker: WorkerProcess, expected: Said) -> None:
    """Return when the probes say what is expected."""
    crew.until(lambda: said(worker) == expected, what=f"the probes say {expected}")


def slow_job(make_job: JobMaker, guarantee: str = "at_least_once", **model: Any) -> Job:
    """Return a job whose model takes some seconds for a batch."""
    settings = {
        "model": {"version": VERSION, **model},
        "batching": {"max_batch_size": BATCH, "queue_limit_records": 2 * BATCH},
        "delivery": {"shutdown_timeout_s": 120, "processing_guarantee": guarantee},
    }
    job = make_job(hidden=HIDDEN, settings=settings)
    write_slow(job.repository, HIDDEN, rows=BATCH, seconds=CALL_S)
    job.references[VERSION] = job.references["1"]
    return job


def test_without_a_broker_a_worker_is_well_and_not_ready_and_ends_after_its_timeout(
    make_job: JobMaker, nowhere: str
) -> None:
    job = make_job(settings={"kafka": {"bootstrap_servers": nowhere, "startup_timeout_s": 20}})
    with job.crew() as crew:
        worker = crew.start()
        until_said(crew, worker, (200, 503, (NO_BROKER, LOADING, NOT_JOINED)))
        crew.workers.remove(worker)
        assert worker.wait() == 1


@contextmanager
def frozen(worker: WorkerProcess) -> Iterator[None]:
    """Hold the group: a member that is stopped answers no rebalance, and lets nobody in until it is missed."""
    worker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.process.send_signal(signal.SIGCONT)


def test_a_worker_is_not_ready_before_it_has_loaded_and_not_before_the_group_has_let_it_in(make_job: JobMaker) -> None:
    job = make_job(settings={"kafka": {"consumer_properties": {"session.timeout.ms": 60_000}}})
    with job.crew() as crew:
        first = crew.start()
        until_said(crew, first, (200, 503, (LOADING, NOT_JOINED)))
        until_said(crew, first, (200, 200, ()))
        with frozen(first):
            second = crew.start()
            until_said(crew, second, (200, 503, (NOT_JOINED,)))
            crew.until(lambda: "joining the group" in second.log_text(), what="the worker asks to join")
            # The group knows of it meanwhile, and has given it a name.
            for _ in range(40):
                assert said(second) == (200, 503, (NOT_JOINED,))
                crew.watch.pause(0.05)
        until_said(crew, second, (200, 200, ()))
        assert [crew.drain(worker) for worker in (second, first)] == [0, 0]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_worker_in_the_group_is_ready_with_partitions_and_without(make_job: JobMaker, protocol: str) -> None:
    settings = {"kafka": {"consumer_properties": {"group.protocol": protocol}}}
    job = make_job(partitions=1, settings=settings)
    with job.crew() as crew:
        workers = [crew.start() for _ in range(2)]
        for worker in workers:
            until_said(crew, worker, (200, 200, ()))
        held = members(job.bootstrap_servers, job.application_id)
        crew.until(lambda: sorted(shares(job)) == [0, 1], what=f"one partition for one of them: {held}")
        assert [said(worker) for worker in workers] == [(200, 200, ())] * 2


def shares(job: Job) -> list[int]:
    """Return how many partitions each member holds."""
    return list(members(job.bootstrap_servers, job.application_id).values())


def test_a_model_that_does_not_come_back_is_told_by_both_probes_and_ends_the_worker(make_job: JobMaker) -> None:
    job = slow_job(make_job, inference_timeout_s=1.0)
    with job.crew() as crew:
        worker = crew.start()
        job.send(make_events(EVENTS, width=WIDTH))
        seen = until_ended(crew, worker)
        assert worker.wait() == 1
        assert sum(crew.watch.observe().committed.values()) == 0
    # The worker may end between the two questions.
    stuck = [one for one in seen if one[0] == 503 and one[1] != NOBODY]
    assert stuck
    assert all(ready == 503 and "has not ended after" in reasons[0] for _, ready, reasons in stuck)


def until_ended(crew: Crew, worker: WorkerProcess, *, within_s: float = 240.0) -> list[Said]:
    """Return everything that the probes of a worker say until it has ended, each once."""
    seen: list[Said] = []
    crew.workers.remove(worker)

    def has_ended() -> bool:
        now = said(worker)
        if now not in seen:
            seen.append(now)
        return not worker.is_running()

    crew.until(has_ended, within_s=within_s, what="the worker ends")
    return seen


def test_a_worker_that_drains_is_well_and_not_ready_from_the_signal_to_its_end(make_job: JobMaker) -> None:
    job = slow_job(make_job)
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until_answered(1, within_s=START_S)
        assert said(worker) == (200, 200, ())
        worker.terminate()
        crew.until(lambda: not is_ready(worker), within_s=60, what="not ready")
        seen = until_ended(crew, worker)
        assert worker.wait() == 0
    told = [one for one in seen if one[0] != NOBODY and one[1] != NOBODY]
    assert told
    assert {(health, ready) for health, ready, _ in told} == {(200, 503)}
    assert all(DRAINING in reasons for _, _, reasons in told)


@pytest.mark.parametrize("guarantee", [pytest.param("at_least_once", marks=pytest.mark.faults), "exactly_once_v2"])
def test_a_second_sigterm_ends_a_drain_at_once_and_loses_nothing(make_job: JobMaker, guarantee: str) -> None:
    job = slow_job(make_job, guarantee)
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until_answered(1, within_s=START_S)
        worker.terminate()
        crew.until(lambda: DRAINING in said(worker)[2], within_s=60, what="the drain has begun")
        worker.terminate()
        crew.workers.remove(worker)
        assert worker.wait() == 1
        assert "leaving at once" in worker.log_text()
        assert crew.watch.waiting() > 0, "the drain was over before the second signal: nothing is shown"
        last = crew.start()
        crew.until_done()
        assert crew.drain(last) == 0
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
