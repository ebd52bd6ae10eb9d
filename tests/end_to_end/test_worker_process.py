import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import FAUST_WORKER, WORKER
from tests.end_to_end.job import WIDTH, JobMaker


@pytest.mark.parametrize("command", [FAUST_WORKER, WORKER], ids=["faust", "stream-infer"])
def test_a_worker_scores_the_topic_and_exits_0_on_sigterm_with_everything_committed(
    make_job: JobMaker, command: tuple[str, ...]
) -> None:
    job = make_job()
    job.send(make_events(2_000, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start(command)
        crew.until_done()
        job.send(make_events(500, width=WIDTH, first=2_000))
        crew.until_answered(2_500)
        assert crew.drain(worker) == 0
        assert crew.watch.is_done()
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert duplicates(history) == 0
