"""Watched: a child process that is looked at many times a second, and that never outlives its watch."""

import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Final

LOOK_S: Final = 0.02
"""Between two looks: how late the end of the child, or a reason to end it, may be noticed."""
READ_BYTES: Final = 65536
"""Read of each pipe in a look, and kept of what the child prints: one that prints without end waits for us."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code, minus the signal's number if one ended it, and the last that it printed."""

    code: int
    printed: str

    def __str__(self) -> str:
        """Return it as words that follow "ended"."""
        if self.code >= 0:
            return f"with exit code {self.code}"
        with suppress(ValueError):
            return f"by signal {-self.code} ({signal.Signals(-self.code).name})"
        return f"by signal {-self.code}"


class Watched:
    """A child in a session of its own, which is given `request` as JSON on its standard input.

    It answers with JSON objects, one a line, on the descriptor whose number is its last argument: `said` holds those
    that came so far. What it prints disturbs nothing.
    """

    def __init__(self, command: Sequence[str], request: Mapping[str, Any], *, env: Mapping[str, str]) -> None:
        self.said: list[Mapping[str, Any]] = []
        self._unread = b""
        self._printed: deque[bytes] = deque(maxlen=2)
        answers, answering = os.pipe()
        self._answers = os.fdopen(answers, "rb", buffering=0)
        try:
            self._process = _start(command, answering, env=env)
        except OSError:
            self._answers.close()
            raise
        finally:
            os.close(answering)
        self._prints = _there(self._process.stdout)
        for pipe in (self._answers, self._prints):
            os.set_blocking(pipe.fileno(), False)
        with suppress(BrokenPipeError), _there(self._process.stdin) as stdin:
            stdin.write(json.dumps(request).encode())

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def wait(self, look: Callable[[], None]) -> Ended:
        """Return how the child ended; `look` is called meanwhile, and what it raises ends the child."""
        with self._ending():
            pause = threading.Event()
            while self._process.poll() is None:
                self._hear()
                look()
                pause.wait(LOOK_S)
            self._hear()
            return Ended(self._process.returncode, b"".join(self._printed).decode("utf-8", "replace"))

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            # Whoever the child started is in its group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._answers.close()
            self._prints.close()

    def _hear(self) -> None:
        """Take what came through the pipes, a read of each; None stands for nothing yet."""
        if printed := self._prints.read(READ_BYTES):
            self._printed.append(printed)
        *lines, self._unread = (self._unread + (self._answers.read(READ_BYTES) or b"")).split(b"\n")
        for line in lines:
            with suppress(ValueError):
                self.said.append(json.loads(line))


def _start(command: Sequence[str], answering: int, *, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the caller's own command
        [*command, str(answering)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[answering],
        start_new_session=True,
        env=env,
    )


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return a pipe that was asked for."""
    if pipe is None:
        raise ValueError("the child has no such pipe, expected one")
    return pipe
