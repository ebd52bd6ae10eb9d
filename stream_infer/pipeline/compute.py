"""The compute thread: it loads the model, runs the scorer, and says how it ended."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol

from stream_infer.errors import Drained, Stop
from stream_infer.pipeline.inbox import Inbox

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S: Final = 5.0
ASK_AGAIN_S: Final = 0.2


class Turning(Protocol):
    """What the thread runs, turn by turn, until it says that it has ended."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        ...


class ComputeThread:
    """Runs the scorer (`run.py`) that `prepare` makes. The device belongs to this thread from the first load on.

    `failed` is told, on this thread, of any error that ended it.
    """

    def __init__(
        self, *, inbox: Inbox, prepare: Callable[[], Turning], failed: Callable[[BaseException], None]
    ) -> None:
        self._inbox = inbox
        self._prepare = prepare
        self._failed = failed
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="stream-infer-compute", daemon=True)

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    def wait_until_ready(self, stopping: Callable[[], bool]) -> None:
        """Wait until a version serves; raises what kept it from loading, and `Stop` when `stopping` says so first."""
        while not stopping():
            try:
                return self._ready.result(ASK_AGAIN_S)
            except TimeoutError:
                continue
        message = "the worker was stopped before its model was loaded"
        raise Stop(message)

    def is_ready(self) -> bool:
        """Whether a version serves and the thread lives."""
        return self._ready.done() and self._ready.exception() is None and self._thread.is_alive()

    def join(self) -> None:
        """Wait a moment for the thread to end; return at once when it was never started."""
        if self._thread.ident is not None:
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            scorer = self._prepare()
        except BaseException as error:  # noqa: BLE001 - it is raised again where readiness is awaited
            self._inbox.close(error)
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        try:
            while not scorer.ended:
                scorer.turn()
            self._inbox.close(Drained("the worker has drained"))
        except BaseException as error:  # noqa: BLE001 - the thread ends with it, whatever it is
            self._inbox.close(error)
            self._failed(error)
