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

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Mark the block as a call."""
        self.calling_since_s = self._clock.monotonic_s()
        try:
            yield
        finally:
            self.calling_since_s = None
