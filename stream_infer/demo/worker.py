"""The demo's worker: `stream-infer worker` as a process of its own, as in production."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError

from stream_infer.errors import Stop
from stream_infer.settings import Settings

OWN_VARIABLES: Final = "STREAM_INFER_"
PAGE_TIMEOUT_S: Final = 2.0
STOP_MARGIN_S: Final = 10.0
LOG_LINES: Final = 15


class WorkerProcess:
    """One running worker; `log` is the file of its standard error, beside which its temporary files go too.

    It is its own process, so that it has the interpreter and its signals for itself and ends as a real one does.
    """

    def __init__(self, settings: Settings, config: Path, *, log: Path) -> None:
        self._settings = settings
        self._log = log
        # No file, variable or Ctrl-C that is meant for the demo reaches the worker: the demo tells it when to end.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
        command = [*_die_with_parent(), sys.executable, "-m", "stream_infer", "worker", "--config", str(config)]
        environment["TMPDIR"] = str(log.parent)
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this package's own command
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )

    def page(self, path: str) -> str | None:
        """Return a page of the worker's web server; None when it does not answer 200."""
        web = self._settings.web
        try:
            with urllib.request.urlopen(f"http://{web.host}:{web.port}{path}", timeout=PAGE_TIMEOUT_S) as answer:
                text: str = answer.read().decode()
        except (HTTPError, URLError, OSError):
            return None
        return text if answer.status == HTTPStatus.OK else None

    def is_ready(self) -> bool:
        """Say whether it scores; raises Stop, with the end of its log, when it ended."""
        self.check()
        return self.page("/ready") is not None

    def check(self) -> None:
        """Raise Stop, with the end of its log, when it ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise Stop(f"The worker ended with exit code {code}, expected it to run. Its last words:\n{self.tail()}")

    def stop(self) -> int:
        """Let it drain and return its exit code; -9 when it had to be killed."""
        self._process.terminate()
        try:
            return self._process.wait(self._settings.delivery.shutdown_timeout_s + STOP_MARGIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End it at once; nothing happens when it ended already."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        """Return the last lines of its log, without what is around a message."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {_message(line)}" for line in lines[-LOG_LINES:])


@contextmanager
def running_worker(settings: Settings, config: Path, *, log: Path) -> Iterator[WorkerProcess]:
    """Start a worker, and see to it that it is gone afterwards."""
    worker = WorkerProcess(settings, config, log=log)
    try:
        yield worker
    finally:
        worker.kill()


def _message(line: str) -> str:
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def _die_with_parent() -> list[str]:
    """Return a prefix that ends the worker when the demo is killed; nothing where the system has no such thing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
