"""The one place that asks for the time; everything else is given it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for delays, wall-clock seconds for what people and other machines read."""

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...

    def wall_s(self) -> float:
        """Return seconds since 1970-01-01 UTC; may step."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Return `time.time()`."""
        return time.time()
