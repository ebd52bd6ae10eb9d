import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.group import members
from tests.end_to_end.harness import Crew
from tests.end_to_end.job import WIDTH, Job, JobMaker

PARTITIONS = 6
EVENTS_AT_ONCE = 400
EVERY_S = 0.1
MAX_EVENTS = 60_000


class Flow:
    """Events that keep coming, from a thread of their own, until the block ends."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._events = make_events(MAX_EVENTS, width=WIDTH)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send events while the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S) and self.sent < MAX_EVENTS:
            self._job.send(self._events[self.sent : self.sent + EVENTS_AT_ONCE])
            self.sent += EVENTS_AT_ONCE


@pytest.mark.timeout(180)
def test_workers_that_join_and_leave_while_events_flow_hand_over_without_loss_repetition_or_disorder(
    make_job: JobMaker,
) -> None:
    job = make_job(partitions=PARTITIONS)
    flow = Flow(job)

    def shares() -> list[int]:
        return sorted(members(job.bootstrap_servers, job.application_id).values())

    def until_shared(crew: Crew, *expected: int) -> None:
        crew.until(lambda: shares() == list(expected), what=f"shares of {expected}")
        # Everything that waits now is answered under the new assignment.
        crew.until_answered(crew.watch.answered() + 2 * EVENTS_AT_ONCE)
        crew.watch.observe()

    with job.crew() as crew:
        with flow.running():
            first = crew.start()
            until_shared(crew, 6)
            second = crew.start()
            until_shared(crew, 3, 3)
            third = crew.start()
            until_shared(crew, 2, 2, 2)
            assert crew.drain(first) == 0
            until_shared(crew, 3, 3)
            assert crew.drain(second) == 0
            until_shared(crew, 6)
        crew.until_done()
        assert crew.drain(third) == 0
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.events) == flow.sent
    assert duplicates(history) == 0
