"""`stream-infer` in a process of its own, forked from one that has imported torch already: two seconds less each."""

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from stream_infer.cli import run

WITHIN_S: Final = 180.0
LOOK_S: Final = 0.05
_FORKS: Final = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int | None
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was begun; what it writes goes to files."""

    process: ForkServerProcess
    out: Path
    err: Path

    def until_said(self, text: str) -> None:
        """Return when a text was written to standard error."""
        while text not in self.err.read_text("utf-8"):
            assert self.process.is_alive(), f"it ended without a word of {text!r}: {self.err.read_text('utf-8')}"
            self.process.join(LOOK_S)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid or 0, number)

    def end(self) -> Done:
        """Wait for its end; one that lasts longer than a minute is killed."""
        self.process.join(WITHIN_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return Done(self.process.exitcode, self.out.read_text("utf-8"), self.err.read_text("utf-8"))


def begin(words: tuple[str, ...], *, folder: Path) -> Running:
    """Start `stream-infer` with these words in a folder."""
    _FORKS.set_forkserver_preload(["stream_infer.cli.rollout", "stream_infer.cli.compare"])
    number = len(list(folder.glob("command-*.out")))
    out, err = folder / f"command-{number}.out", folder / f"command-{number}.err"
    out.touch()
    err.touch()
    process = _FORKS.Process(target=_run, args=(words, folder, out, err))
    process.start()
    return Running(process, out, err)


def _run(words: tuple[str, ...], folder: Path, out: Path, err: Path) -> None:
    # Tests that a shell has put into the background ignore it, and so would the command.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        os.dup2(os.open(path, os.O_WRONLY), stream.fileno())
    raise SystemExit(run(words))
