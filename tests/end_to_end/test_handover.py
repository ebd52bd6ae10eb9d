import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.flow import Flow, until_shared
from tests.end_to_end.job import JobMaker

PARTITIONS = 6


@pytest.mark.parametrize("guarantee", ["at_least_once", pytest.param("exactly_once_v2", marks=pytest.mark.faults)])
def test_workers_that_join_and_leave_while_events_flow_hand_over_without_loss_repetition_or_disorder(
    make_job: JobMaker, guarantee: str
) -> None:
    job = make_job(partitions=PARTITIONS, settings={"delivery": {"processing_guarantee": guarantee}})
    flow = Flow(job)
    with job.crew() as crew:
        with flow.running():
            first = crew.start()
            until_shared(crew, job, 6)
            second = crew.start()
            until_shared(crew, job, 3, 3)
            third = crew.start()
            until_shared(crew, job, 2, 2, 2)
            assert crew.drain(first) == 0
            until_shared(crew, job, 3, 3)
            assert crew.drain(second) == 0
            until_shared(crew, job, 6)
        crew.until_done()
        assert crew.drain(third) == 0
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.events) == flow.sent
    assert duplicates(history) == 0
    print(f"{len(history.commits)} commits, {len(history.written)} batches, {len(history.along)} answers read along")
