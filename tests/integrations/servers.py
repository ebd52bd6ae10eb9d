"""Servers of others, each as a process of its own on a free port of this machine."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LISTENS = re.compile(r"unning on (http://127\.0\.0\.1:\d+)")


@contextmanager
def started(module: str, arguments: Sequence[str], *, folder: Path) -> Iterator[str]:
    """Yield the address of a server that was started with `--port 0`; it and its children end afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    # Its further words are thrown away, so that it never waits for a reader.
    ignoring = threading.Thread(target=process.stdout.read)
    try:
        yield _address(module, process.stdout, ignoring)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if ignoring.ident is not None:
            ignoring.join()
        process.stdout.close()


def _address(module: str, output: IO[str], ignoring: threading.Thread) -> str:
    said: list[str] = []
    for line in output:
        said.append(line)
        if found := LISTENS.search(line):
            ignoring.start()
            return found[1]
    raise AssertionError(f"{module} ended before it listened:\n{''.join(said)}")
