"""A clock that stands still until it is moved."""

from dataclasses import dataclass


@dataclass(slots=True)
class HandClock:
    """Both clocks of `Clock` as one number, in seconds."""

    now_s: float = 0.0

    def monotonic_s(self) -> float:
        """Return `now_s`."""
        return self.now_s

    def wall_s(self) -> float:
        """Return `now_s`."""
        return self.now_s
