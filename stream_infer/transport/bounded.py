"""Calls of librdkafka on threads of their own: beside other work, or with a limit that they do not keep themselves."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], object], *, within_s: float) -> None:
    """Make a call on a thread of its own and wait for it; raises what it raises, or `TimeoutError` after `within_s`.

    A call that takes longer is left behind with its thread, which holds what the call needs and hinders no exit.
    """
    outcome = begun(call)
    try:
        outcome.result(within_s)
    finally:
        # What is raised holds this frame: together they would hold the call's client until the collector comes.
        del outcome


def begun(call: Callable[[], T]) -> Future[T]:
    """Begin a call on a thread of its own, which hinders no exit, and return what will become of it."""
    outcome: Future[T] = Future()
    threading.Thread(target=_make, args=(call, outcome), name="begun-call", daemon=True).start()
    return outcome


def unattended(call: Callable[[], object]) -> None:
    """Make a call on a thread of its own, which hinders no exit, and do not wait for it: it may take for ever."""
    threading.Thread(target=call, name="unattended-call", daemon=True).start()


def _make(call: Callable[[], T], outcome: Future[T]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        outcome.set_exception(error)
    finally:
        # As above.
        del outcome
