"""A worker that stands still until the group has given its partitions away, and then goes on where it was."""

import signal

import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.flow import Flow, until_shared
from tests.end_to_end.job import JobMaker, Settings

SETTINGS: Settings = {
    "delivery": {"processing_guarantee": "exactly_once_v2", "transaction_timeout_ms": 4000},
    "kafka": {"consumer_properties": {"session.timeout.ms": "6000"}},
}


@pytest.mark.faults
def test_a_zombie_commits_nothing_and_comes_back_by_itself(make_job: JobMaker) -> None:
    job = make_job(partitions=6, settings=SETTINGS)
    flow = Flow(job)
    with job.crew() as crew:
        with flow.running():
            zombie = crew.start()
            other = crew.start()
            until_shared(crew, job, 3, 3)
            zombie.process.send_signal(signal.SIGSTOP)
            until_shared(crew, job, 6)
            zombie.process.send_signal(signal.SIGCONT)
            until_shared(crew, job, 3, 3)
        crew.until_done()
        assert crew.drain(zombie) == 0
        assert crew.drain(other) == 0
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.events) == flow.sent
    assert duplicates(history) == 0
    assert len({one.producer for one in history.commits}) == 2
    assert len({one.generation for one in history.commits}) > 2
    assert {one.lane: one.offset for one in history.commits} == history.committed
    print(f"{len(history.commits)} commits, {len(history.written)} batches, {len(history.along)} answers read along")
