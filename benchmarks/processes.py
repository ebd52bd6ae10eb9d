"""Processes of a benchmark beside the competitors: senders and readers, each a script of this folder."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

STOP_S = 60.0

Process = subprocess.Popen[str]


@contextmanager
def running(command: list[str], *, asked: bool = False) -> Iterator[Process]:
    """Run a process; it is killed with the block if it still runs. `asked`: its standard output is read."""
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE if asked else subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_line(process: Process) -> None:
    """Return when a process has said that it is ready. Raises SystemExit when it ended instead."""
    if process.stdout is None or not process.stdout.readline():
        raise SystemExit(f"{process.args!r} ended before it was ready")


def stop(process: Process) -> str:
    """Ask a process to end, which it must with 0, and return what it printed."""
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=STOP_S)
    if process.returncode:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")
    return out or ""
