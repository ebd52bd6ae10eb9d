"""Starts workers as processes and waits on what the broker says; nothing here looks inside them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream_infer.testing.kafka.properties import free_port
from tests.checker.history import Place
from tests.end_to_end.watch import Watch

POLL_S = 0.05
EXIT_TIMEOUT_S = 90.0
DONE_TIMEOUT_S = 240.0
LOG_TAIL_LINES = 25
SCRIPTS = Path(sys.executable).parent
WORKER = (str(SCRIPTS / "stream-infer"), "worker")
FAUST_WORKER = (str(SCRIPTS / "faust"), "-A", "stream_infer.app", "worker", "-l", "info")


class WorkerProcess:
    """One worker: a process with a settings file, an HTTP port of its own and a log; ended when the block ends."""

    def __init__(
        self, command: Sequence[str], *, config: Path, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        self.web_port = free_port()
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=environment(config, web_port=self.web_port) | dict(env or {}),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            error.add_note(f"{self._log.name} ends with:\n{self.log_tail()}")

    def kill(self) -> None:
        """End it by SIGKILL, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(EXIT_TIMEOUT_S)

    def terminate(self) -> None:
        """Ask it to drain."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """Return its exit code; raises TimeoutExpired."""
        return self.process.wait(timeout_s)

    def drain(self, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """Ask it to drain and return its exit code; raises TimeoutExpired."""
        self.terminate()
        return self.wait(timeout_s)

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def log_text(self) -> str:
        """Return everything it wrote to standard output and standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self) -> str:
        """Return the last lines of what it wrote."""
        return "\n".join(self.log_text().splitlines()[-LOG_TAIL_LINES:])


class Crew:
    """The workers of one test: started one by one, watched together, all ended when the block ends.

    `along` is where a reader of committed records has found answers, if there is one.
    """

    def __init__(self, watch: Watch, along: Sequence[Place] = (), *, config: Path, folder: Path) -> None:
        self.watch = watch
        self.along = along
        self._config = config
        self._folder = folder
        self._stack = ExitStack()
        self._count = 0
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start(self, command: Sequence[str] = WORKER, *, env: Mapping[str, str] | None = None) -> WorkerProcess:
        """Start one more worker."""
        self._count += 1
        log = self._folder / f"worker-{self._count}.log"
        worker = self._stack.enter_context(WorkerProcess(command, config=self._config, log=log, env=env))
        self.workers.append(worker)
        return worker

    def kill(self, worker: WorkerProcess) -> None:
        """End a worker by SIGKILL and note what is committed at that moment."""
        worker.kill()
        self.workers.remove(worker)
        self.watch.observe()

    def drain(self, worker: WorkerProcess, timeout_s: float = EXIT_TIMEOUT_S) -> int:
        """Drain a worker and return its exit code."""
        self.workers.remove(worker)
        return worker.drain(timeout_s)

    def until(self, condition: Callable[[], bool], *, within_s: float = DONE_TIMEOUT_S, what: str) -> None:
        """Return when `condition` holds; raises AssertionError when a worker ends before, or after `within_s`."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            for worker in self.workers:
                assert worker.is_running(), f"a worker ended with {worker.process.returncode} before {what}"
            assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
            self.watch.pause(POLL_S)

    def until_answered(self, count: int, *, within_s: float = DONE_TIMEOUT_S) -> None:
        """Return when the topics of answers hold `count` records."""
        self.until(lambda: self.watch.answered() >= count, within_s=within_s, what=f"{count} answers")

    def until_done(self, *, within_s: float = DONE_TIMEOUT_S) -> None:
        """Return when every input record is committed."""
        self.until(self.watch.is_done, within_s=within_s, what="everything is committed")


def environment(config: Path, **extra: Any) -> dict[str, str]:
    """Return this process's environment without settings of ours, with `config` and the port of the pages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_INFER_")}
    port = {"STREAM_INFER_WEB__PORT": str(extra["web_port"])} if "web_port" in extra else {}
    return kept | port | {"STREAM_INFER_CONFIG": str(config)}
