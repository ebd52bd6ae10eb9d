"""Since when a model call has been under way: a call that never ends must be noticed from another thread."""

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Protocol

from stream_infer.clock import Clock
from stream_infer.metrics import BusyTime


class Caller(Protocol):
    """Something that runs a version's own code, which may never come back."""

    @property
    def calling_since_s(self) -> float | None:
        """Monotonic time at which it began, None while none runs."""
        ...


class CallWatch:
    """`calling_since_s` is the monotonic time at which a call began that is not over, None between calls.

    Any thread may read it. `busy` is told when the device works: during a call, and while anything is `in_flight`.
    """

    def __init__(self, clock: Clock, *, busy: BusyTime | None = None, in_flight: Sized = ()) -> None:
        self._clock = clock
        self._busy = busy or BusyTime(clock)
        self._in_flight = in_flight
        self.calling_since_s: float | None = None
        self._longest_s = 0.0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark the block as a call."""
        began_s = self.calling_since_s = self._clock.monotonic_s()
        self._busy.note(began_s, is_busy=True)
        try:
            yield
        finally:
            now_s = self._clock.monotonic_s()
            self.calling_since_s = None
            self._longest_s = max(self._longest_s, now_s - began_s)
            self._busy.note(now_s, is_busy=bool(self._in_flight))

    def take_longest_s(self) -> float:
        """Return how long the longest call took since this was asked last."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s
