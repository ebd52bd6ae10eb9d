"""What stops a canary on this worker, and tells the rollout thread."""

from collections.abc import Callable
from dataclasses import dataclass

from stream_infer.rollout.trip import TripGuard


@dataclass(frozen=True, slots=True)
class Tripped:
    """The canary of a revision passed a limit on this worker."""

    revision: int
    reason: str


class WatchedGuard:
    """A canary's guard that tells the follower once; used by the compute thread."""

    def __init__(self, guard: TripGuard | None, revision: int, tell: Callable[[Tripped], None]) -> None:
        self._guard = guard
        self._revision = revision
        self._tell = tell
        self._told = False

    def note(self, now_s: float, *, records: int, errors: int, non_finite: int) -> str | None:
        """Count one batch; return why the canary must stop, once it must."""
        reason = self._guard and self._guard.note(now_s, records=records, errors=errors, non_finite=non_finite)
        if reason:
            self.fail(reason)
        return reason or None

    def fail(self, reason: str) -> None:
        """Stop the canary whatever the limits say."""
        if not self._told:
            self._told = True
            self._tell(Tripped(self._revision, reason))
