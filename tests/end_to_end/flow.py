"""Events that keep coming while a test does something else, and who answers them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.end_to_end.events import make_events
from tests.end_to_end.group import members
from tests.end_to_end.harness import Crew
from tests.end_to_end.job import WIDTH, Job

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


def until_shared(crew: Crew, job: Job, *expected: int, within_s: float = 60.0) -> None:
    """Return when the members of the group hold these numbers of partitions, and answer under them what waits now."""
    wanted = list(expected)
    crew.until(
        lambda: sorted(members(job.bootstrap_servers, job.application_id).values()) == wanted,
        within_s=within_s,
        what=f"shares of {wanted}",
    )
    crew.until_answered(crew.watch.answered() + 2 * EVENTS_AT_ONCE)
    crew.watch.observe()
