"""A Docker daemon: the one that runs, or one that is started for the tests."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


def docker(*words: str, timeout_s: float = 120.0) -> str:
    """Run a word of docker and return what it printed; raises AssertionError with what it said when it fails."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


def is_running() -> bool:
    """Return whether a daemon answers."""
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextmanager
def docker_daemon() -> Iterator[None]:
    """Have a daemon that answers. One that is started here has no network of its own and keeps nothing."""
    if is_running():
        yield
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        with (folder / "log").open("wb") as log:
            command = ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none"]
            paths = [f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"]
            process = subprocess.Popen([*command, *paths], stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_running(process, folder / "log")
            yield
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def wait_until_running(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the daemon answers; raises AssertionError with the end of its log when it does not."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not is_running():
        said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        assert process.poll() is None, f"dockerd ended with {process.returncode}: {said}"
        assert time.monotonic() < deadline_s, f"dockerd does not answer within {START_TIMEOUT_S:g} s: {said}"
        time.sleep(0.1)
