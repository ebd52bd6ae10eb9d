"""Calls that other threads want made on the consumer thread: every Consumer call belongs there."""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Calls:
    """A queue of functions with futures; served by the consumer thread, also while a rebalance callback waits."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._closed_by: BaseException | None = None

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Ask for `function()` to run on the consumer thread and return the future of its result."""
        future: Future[T] = Future()
        self._queue.put((function, future))
        if self._closed_by is not None:
            self._refuse_all(self._closed_by)
        return future

    def close(self, reason: BaseException) -> None:
        """Refuse all calls from now on: the consumer thread has ended, and nobody may wait for it."""
        self._closed_by = reason
        self._refuse_all(reason)

    def serve(self) -> None:
        """Run everything that was asked for, without waiting."""
        while not self._queue.empty():
            self._run_one(timeout_s=0.0)

    def serve_until(self, done: Future[T], *, timeout_s: float, slice_s: float = 0.05) -> bool:
        """Run calls until `done` is; False when `timeout_s` passed first."""
        done.add_done_callback(lambda _: self._queue.put(None))
        waited_s = 0.0
        while not done.done() and waited_s < timeout_s:
            waited_s += 0.0 if self._run_one(timeout_s=slice_s) else slice_s
        return done.done()

    def _refuse_all(self, reason: BaseException) -> None:
        while not self._queue.empty():
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item is not None and item[1].set_running_or_notify_cancel():
                item[1].set_exception(reason)

    def _run_one(self, *, timeout_s: float) -> bool:
        try:
            item = self._queue.get(timeout=timeout_s) if timeout_s else self._queue.get_nowait()
        except queue.Empty:
            return False
        if item is not None and item[1].set_running_or_notify_cancel():
            _run(*item)
        return True


def _run(function: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
        future.set_exception(error)
