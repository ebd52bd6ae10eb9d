import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLENTY_S = 400


@dataclass(frozen=True, slots=True)
class Command:
    """Runs `stream-infer demo` with a cache that the session's tests share, so that one of them trains."""

    cache: Path
    folder: Path

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        own = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_INFER_")}
        paths = os.pathsep.join(filter(None, (variables.pop("PYTHONPATH", ""), str(ROOT))))
        environment = {**own, "XDG_CACHE_HOME": str(self.cache), "PYTHONPATH": paths, **variables}
        return subprocess.Popen(
            [sys.executable, "-m", "stream_infer", "demo", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments, **variables) as process:
            try:
                out, err = process.communicate(timeout=PLENTY_S)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def demo(shared_cache: Path, tmp_path: Path) -> Command:
    return Command(shared_cache, tmp_path)


@pytest.fixture
def wait_for_line() -> Callable[["subprocess.Popen[str]", str], list[str]]:
    """Return a reader of a process's output up to the first line that holds a text; it fails at the end of output."""

    def wait(process: "subprocess.Popen[str]", text: str) -> list[str]:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if text in line:
                return lines
        pytest.fail(f"{text!r} is not in {lines}")

    return wait
