import json
import time
from collections.abc import Mapping

import pytest

from tests.checker.bounds import Shutdown, accounting, shutdown
from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import WorkerProcess
from tests.end_to_end.job import WIDTH, JobMaker

EVENTS = 120_000
SHUTDOWN_TIMEOUT_S = 10
FINAL = "final counters: "


def final_counters(worker: WorkerProcess) -> Mapping[str, int]:
    """Return the counters that a worker wrote as its last word."""
    (line,) = (line for line in worker.log_text().splitlines() if FINAL in line)
    counters: Mapping[str, int] = json.loads(line.partition(FINAL)[2])
    return counters


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_sigterm_under_load_commits_exactly_what_was_answered_and_leaves_nothing_to_repeat(
    make_job: JobMaker, guarantee: str
) -> None:
    delivery = {"shutdown_timeout_s": SHUTDOWN_TIMEOUT_S, "processing_guarantee": guarantee}
    job = make_job(hidden=(384, 384), settings={"delivery": delivery})
    job.send(make_events(EVENTS, width=WIDTH))
    ended, counters = [], []
    with job.crew() as crew:
        for number in (1, 2):
            worker = crew.start()
            crew.until_answered(crew.watch.answered() + EVENTS // 8)
            asked_s = time.monotonic()
            ended.append(Shutdown(f"worker {number}", crew.drain(worker), time.monotonic() - asked_s))
            counters.append(final_counters(worker))
            assert crew.watch.waiting() > 0, "the worker was not under load any more: nothing is shown"
            done = sum(sum(one.values()) - one["batches_total"] for one in counters)
            assert sum(crew.watch.committed().values()) == done
        last = crew.start()
        crew.until_done()
        assert crew.drain(last) == 0
        counters.append(final_counters(last))
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert duplicates(history) == 0
    assert list(accounting(history, counters)) == []
    assert list(shutdown(ended, within_s=SHUTDOWN_TIMEOUT_S)) == []
