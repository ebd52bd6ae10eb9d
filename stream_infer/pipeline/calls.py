"""Since when a model call has been under way: a call that never ends must be noticed from another thread."""

from collections.abc import Sized
from contextlib import AbstractContextManager
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

    def calling(self) -> AbstractContextManager[None]:
        """Mark the block as a call."""
        return _Call(self)

    def begin(self) -> float:
        """Note that a call begins, and return when."""
        began_s = self.calling_since_s = self._clock.monotonic_s()
        self._busy.note(began_s, is_busy=True)
        return began_s

    def end(self, began_s: float) -> None:
        """Note that the call which began then is over."""
        now_s = self._clock.monotonic_s()
        self.calling_since_s = None
        self._longest_s = max(self._longest_s, now_s - began_s)
        self._busy.note(now_s, is_busy=bool(self._in_flight))

    def take_longest_s(self) -> float:
        """Return how long the longest call took since this was asked last."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s


class _Call:
    """A block that is a call of the model; a generator as a block costs three times as much."""

    def __init__(self, watch: CallWatch) -> None:
        self._watch = watch
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = self._watch.begin()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._watch.end(self._began_s)
