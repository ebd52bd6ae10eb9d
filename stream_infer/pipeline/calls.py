"""Since when a model call has been under way: a call that never ends must be noticed from another thread."""

from collections.abc import Iterator
from contextlib import contextmanager

from stream_infer.clock import Clock


class CallWatch:
    """`calling_since_s` is the monotonic time at which a call began that is not over, None between calls.

    Any thread may read it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calling_since_s: float | None = None
        self._longest_s = 0.0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark the block as a call."""
        began_s = self.calling_since_s = self._clock.monotonic_s()
        try:
            yield
        finally:
            self.calling_since_s = None
            self._longest_s = max(self._longest_s, self._clock.monotonic_s() - began_s)

    def take_longest_s(self) -> float:
        """Return how long the longest call took since this was asked last."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s
