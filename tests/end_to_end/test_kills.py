import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.job import WIDTH, JobMaker

EVENTS = 200_000
# A network of some weight, so that a quarter of the events takes long enough to kill a worker inside it.
HIDDEN = (384, 384)


@pytest.mark.parametrize("guarantee", ["at_least_once", pytest.param("exactly_once_v2", marks=pytest.mark.faults)])
def test_three_sigkills_and_a_second_worker_lose_nothing_and_keep_answers_and_order(
    make_job: JobMaker, guarantee: str
) -> None:
    job = make_job(hidden=HIDDEN, settings={"delivery": {"processing_guarantee": guarantee}})
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        first = crew.start()
        crew.until_answered(EVENTS // 5)
        second = crew.start()
        crew.kill(first)
        crew.until_answered(EVENTS * 2 // 5)
        third = crew.start()
        crew.until_answered(EVENTS * 3 // 5)
        crew.kill(second)
        crew.until_answered(EVENTS * 4 // 5)
        crew.start()
        crew.kill(third)
        crew.until_done()
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.predictions) == EVENTS + duplicates(history)
    assert guarantee == "at_least_once" or duplicates(history) == 0
    print(f"{duplicates(history)} answers were given twice; {len(crew.watch.observed)} moments were checked")
    print(f"{len(history.commits)} commits, {len(history.written)} batches, {len(history.along)} answers read along")
