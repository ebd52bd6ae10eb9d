"""A worker that ends itself by SIGKILL at a chosen step once it is told to.

It is told by a real-time signal, because Faust uses the others. The steps are wrapped from outside, because the package
has no switch for faults.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from confluent_kafka import Producer

from stream_infer.cli import run
from stream_infer.pipeline.answer import Answers
from stream_infer.pipeline.outlet import Outlet
from stream_infer.pipeline.path import BatchPath
from stream_infer.transport import rows

POINTS = ("after_poll", "after_infer", "after_produce", "after_send_offsets", "during_commit", "after_commit")
DURING_S = 0.001
ARMED = threading.Event()
TOLD = signal.SIGRTMIN


def end() -> None:
    """End this process where it is, once it was told to."""
    if ARMED.is_set():
        os.kill(os.getpid(), signal.SIGKILL)


def after(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return the step with the end of the process behind it."""

    @wraps(step)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        answer = step(*args, **kwargs)
        end()
        return answer

    return wrapped


class Ending(Producer):
    """A producer that ends the process around the steps of a transaction."""

    point = ""

    def send_offsets_to_transaction(self, *args: Any, **kwargs: Any) -> Any:
        super().send_offsets_to_transaction(*args, **kwargs)
        if self.point == "after_send_offsets":
            end()

    def commit_transaction(self, *args: Any, **kwargs: Any) -> Any:
        if self.point == "during_commit" and ARMED.is_set():
            threading.Timer(DURING_S, end).start()
        super().commit_transaction(*args, **kwargs)
        if self.point in {"during_commit", "after_commit"}:
            end()

    def flush(self, *args: Any, **kwargs: Any) -> Any:
        if self.point in {"after_send_offsets", "during_commit", "after_commit"}:
            # Under at least once the positions are committed right after the flush.
            end()
        return super().flush(*args, **kwargs)


def main() -> int:
    """Run `stream-infer worker`, prepared to end at the point that the first argument names."""
    point = sys.argv[1]
    if point not in POINTS:
        raise SystemExit(f"{point} is no point, expected one of {', '.join(POINTS)}")
    signal.signal(TOLD, lambda *_: ARMED.set())
    steps: dict[str, tuple[Any, str]] = {
        "after_poll": (BatchPath, "add"),
        "after_infer": (Outlet, "put"),
        "after_produce": (Answers, "send"),
    }
    if point in steps:
        owner, name = steps[point]
        setattr(owner, name, after(getattr(owner, name)))
    Ending.point = point
    rows.Producer = Ending  # type: ignore[attr-defined] # the seam is the name under which it is made
    return run(["worker"])


if __name__ == "__main__":
    raise SystemExit(main())
