"""Trial: a version is loaded and tried in a child process first, so that a bad one ends the child and no worker.

`tried` is what the child runs, `watched` how it is watched.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stream_infer.clock import Clock, SystemClock
from stream_infer.errors import Stop
from stream_infer.model.known import KnownFacts
from stream_infer.model.memory import default_memory_limit, resident_bytes
from stream_infer.model.priority import step_back, step_forward
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.tried import Request, ran_out
from stream_infer.model.version import Facts
from stream_infer.model.watched import Ended, Watched

log = logging.getLogger(__name__)

PATIENCE_S: Final = 30.0
"""A child gets only what of the processor nobody else wants, for so long; then its share, or it would never end."""
CHILD: Final = "stream_infer.model.tried"
TAIL_CHARACTERS: Final = 4000
# While the child has not yet said what it has in use itself, amply.
BASE_BYTES: Final = 4 << 30
_NEXT: Final[Mapping[str, str]] = {
    "": "before its files were read",
    "files": "while it was loaded",
    "load": "while it was called",
    "run": "while it was called with its golden samples",
}


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """How versions are tried, and what a trial may use.

    `device` is `model.device`; `memory_limit_bytes` is what the child may use beyond torch itself, None for half of
    what is allowed here; `cache` is the folder below which results are kept.
    """

    device: str
    batch_size: int
    allow_code_formats: bool
    memory_limit_bytes: int | None
    timeout_s: float
    cache: Path

    @property
    def limit_bytes(self) -> int:
        """The memory limit in effect."""
        return self.memory_limit_bytes or default_memory_limit()


def try_version(
    found: VersionDirectory,
    digest: str,
    *,
    trial: TrialSettings,
    cancelled: Callable[[], bool],
    clock: Clock | None = None,
) -> Facts:
    """Return what a child process found out about a version that is all right; what is known is not sought again.

    `cancelled` is asked many times a second. Raises Stop with the child's own sentence, or with what became of it.
    """
    known = known_facts(trial)
    facts = known.find(digest)
    if facts is None:
        facts = _Trial(found, digest, trial=trial, clock=clock or SystemClock()).run(cancelled)
        known.keep(digest, facts)
    return facts


def known_facts(trial: TrialSettings) -> KnownFacts:
    """Return what trials as these found out before."""
    return KnownFacts(trial.cache / "trials", device=trial.device, batch_size=trial.batch_size)


class _Trial:
    """One run of the child."""

    def __init__(self, found: VersionDirectory, digest: str, *, trial: TrialSettings, clock: Clock) -> None:
        self._found = found
        self._digest = digest
        self._trial = trial
        self._limit_bytes = trial.limit_bytes
        self._clock = clock
        self._deadline_s = clock.monotonic_s() + trial.timeout_s
        self._patient_until_s: float | None = clock.monotonic_s() + min(PATIENCE_S, trial.timeout_s / 2)
        self._what = f"version {found.version}"

    def run(self, cancelled: Callable[[], bool]) -> Facts:
        """Start the child, watch it, and return its answer; it is gone on return."""
        request = asdict(self._request())
        try:
            # Without -P the working folder would be searched before all others.
            child = Watched([sys.executable, "-P", "-m", CHILD], request, env=_environment())
        except OSError as error:
            raise Stop(f"{self._what} cannot be tried: no process can be started: {error.strerror}") from error
        step_back(child.pid)
        ended = child.wait(lambda: self._look(child, cancelled))
        fields = {"version": self._found.version}
        log.debug("the trial of %s ended %s:\n%s", self._what, ended, ended.printed[-TAIL_CHARACTERS:], extra=fields)
        return self._answer(child, ended)

    def _request(self) -> Request:
        return Request(
            name=self._found.name,
            version=self._found.version,
            path=str(self._found.path.resolve()),
            digest=self._digest,
            device=self._trial.device,
            batch_size=self._trial.batch_size,
            allow_code_formats=self._trial.allow_code_formats,
            limit_bytes=self._limit_bytes,
            parent=os.getpid(),
        )

    def _look(self, child: Watched, cancelled: Callable[[], bool]) -> None:
        """Raise `Stop` when the child must be ended."""
        if cancelled():
            raise Stop(f"the trial of {self._what} was given up")
        if self._clock.monotonic_s() > self._deadline_s:
            raise Stop(
                f"{self._what} took longer than {self._trial.timeout_s:g} s to be loaded and tried, {_when(child)} "
                "(model.load_timeout_s)"
            )
        if self._patient_until_s is not None and self._clock.monotonic_s() > self._patient_until_s:
            self._patient_until_s = None
            step_forward(child.pid)
        base_bytes = next((one["base_bytes"] for one in child.said if "base_bytes" in one), BASE_BYTES)
        if resident_bytes(child.pid) > self._limit_bytes + base_bytes:
            raise self._too_large()

    def _answer(self, child: Watched, ended: Ended) -> Facts:
        last = child.said[-1] if child.said else {}
        if "facts" in last:
            return Facts(**last["facts"])
        if "refused" in last:
            raise Stop(last["refused"])
        # The kernel's ceiling may also be met in code that knows no other answer than to abort.
        if "short_of_memory" in last or ran_out(ended.printed):
            raise self._too_large()
        raise Stop(f"{self._what} crashed: the process that tried it was ended {ended} {_when(child)}")

    def _too_large(self) -> Stop:
        return Stop(
            f"{self._what} needs more than {self._limit_bytes} bytes of memory to be loaded and tried "
            "(model.load_memory_limit_bytes)"
        )


def _when(child: Watched) -> str:
    """Return how far the child came."""
    passed = [one["passed"] for one in child.said if "passed" in one]
    return _NEXT.get(passed[-1] if passed else "", "after everything else")


def _environment() -> dict[str, str]:
    """Return this process's environment, with the same packages to be found and one thread to compute."""
    places = [place or str(Path.cwd()) for place in sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
