"""A limit for calls of librdkafka that keep none themselves."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def bounded(call: Callable[[], object], *, within_s: float) -> None:
    """Make a call on a thread of its own and wait for it; raises what it raises, or `TimeoutError` after `within_s`.

    A call that takes longer is left behind with its thread, which holds what the call needs and hinders no exit.
    """
    outcome: Future[object] = Future()
    threading.Thread(target=_make, args=(call, outcome), name="bounded-call", daemon=True).start()
    try:
        outcome.result(within_s)
    finally:
        # What is raised holds this frame: together they would hold the call's client until the collector comes.
        del outcome


def unattended(call: Callable[[], object]) -> None:
    """Make a call on a thread of its own, which hinders no exit, and do not wait for it: it may take for ever."""
    threading.Thread(target=call, name="unattended-call", daemon=True).start()


def _make(call: Callable[[], object], outcome: Future[object]) -> None:
    try:
        outcome.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
        outcome.set_exception(error)
    finally:
        # As above.
        del outcome
