"""How much of the processor another process gets, where the system lets us say."""

import os
from contextlib import suppress
from pathlib import Path


def step_back(pid: int) -> None:
    """Let a process run only where nobody else wants to; said before it starts threads, which do as it does."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def step_forward(pid: int) -> None:
    """Let a process that stepped back, with its threads, have the share that its niceness gives it."""
    for thread in _threads(pid):
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _threads(pid: int) -> list[int]:
    try:
        return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return [pid]
