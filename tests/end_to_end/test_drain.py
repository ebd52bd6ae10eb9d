import time

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.job import WIDTH, JobMaker

EVENTS = 100_000
SHUTDOWN_TIMEOUT_S = 10


def test_sigterm_under_load_commits_exactly_what_was_answered_and_leaves_nothing_to_repeat(make_job: JobMaker) -> None:
    job = make_job(hidden=(384, 384), settings={"delivery": {"shutdown_timeout_s": SHUTDOWN_TIMEOUT_S}})
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        for quarter in (1, 2):
            worker = crew.start()
            crew.until_answered(EVENTS * quarter // 4)
            asked_s = time.monotonic()
            assert crew.drain(worker) == 0
            assert time.monotonic() - asked_s < SHUTDOWN_TIMEOUT_S
            assert crew.watch.waiting() > 0, "the worker was not under load any more: nothing is shown"
            assert sum(crew.watch.committed().values()) == crew.watch.answered()
        last = crew.start()
        crew.until_done()
        assert crew.drain(last) == 0
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert duplicates(history) == 0
