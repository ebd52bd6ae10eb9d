"""Trip: when a canary stops by itself, by the ratios of what went wrong in the last seconds."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from stream_infer.rollout.record import TripLimits

BUCKETS: Final = 60
"""Parts of a window: it reaches back at least 59/60 of its seconds, and never more than all of them."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Records, how many of them made the model fail, and how many had scores that are no finite numbers."""

    records: int = 0
    errors: int = 0
    non_finite: int = 0

    def plus(self, other: "Counts", *, times: int = 1) -> "Counts":
        """Return the sum with `times` the other."""
        return Counts(
            self.records + times * other.records,
            self.errors + times * other.errors,
            self.non_finite + times * other.non_finite,
        )


@dataclass(frozen=True, slots=True)
class _Bucket:
    number: int
    counts: Counts


class TripGuard:
    """Watches one canary of one worker; used by one thread. `reason` says why it tripped, and stays."""

    def __init__(self, limits: TripLimits) -> None:
        self._limits = limits
        self._buckets: deque[_Bucket] = deque()
        self._seen = Counts()
        self.reason: str | None = None

    def note(self, now_s: float, *, records: int, errors: int, non_finite: int) -> str | None:
        """Count one batch at monotonic time `now_s`; return why the canary must stop, None while it may go on."""
        if self.reason is None:
            self._count(now_s, Counts(records, errors, non_finite))
            self.reason = self._judge()
        return self.reason

    def fail(self, reason: str) -> None:
        """Trip for something that is no ratio; an earlier reason stays."""
        self.reason = self.reason or reason

    def _count(self, now_s: float, counts: Counts) -> None:
        number = int(now_s * BUCKETS / self._limits.window_s)
        self._seen = self._seen.plus(counts)
        if self._buckets and self._buckets[-1].number == number:
            counts = counts.plus(self._buckets.pop().counts)
        self._buckets.append(_Bucket(number, counts))
        while self._buckets[0].number <= number - BUCKETS:
            self._seen = self._seen.plus(self._buckets.popleft().counts, times=-1)

    def _judge(self) -> str | None:
        limits, seen = self._limits, self._seen
        if seen.records < limits.min_records:
            return None
        return self._above("error", seen.errors, limits.max_error_ratio, of=seen.records) or self._above(
            "non-finite", seen.non_finite, limits.max_nonfinite_ratio, of=seen.records
        )

    def _above(self, what: str, found: int, limit: float | None, *, of: int) -> str | None:
        if limit is None or found / of <= limit:
            return None
        window = f"{found} of {of} records in {self._limits.window_s:g} s"
        return f"the canary's {what} ratio is {found / of:.4g} ({window}), expected at most {limit:g}"
