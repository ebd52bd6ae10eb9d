"""Shares of the last minute: how busy the device was, how much of its work was padding."""

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from stream_infer.clock import Clock

WINDOW_S: Final = 60.0


class Sums(NamedTuple):
    """Two sums since the start, both of which only grow."""

    part: float
    whole: float


class RecentShare:
    """How much `part` grew for each 1 that `whole` grew, over about the last minute; 0 while nothing grew.

    `look` is to be called now and then, at most once a second or so: each look within the minute is remembered.
    """

    def __init__(self, read: Callable[[], Sums], *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._looks: deque[tuple[float, Sums]] = deque([(clock.monotonic_s(), read())])

    def look(self) -> float:
        """Remember how the sums stand, and return the share."""
        now_s, now = self._clock.monotonic_s(), self._read()
        self._looks.append((now_s, now))
        while len(self._looks) > 1 and self._looks[1][0] <= now_s - WINDOW_S:
            self._looks.popleft()
        then = self._looks[0][1]
        whole = now.whole - then.whole
        return (now.part - then.part) / whole if whole > 0 else 0.0


class BusyTime:
    """Seconds during which anything was under way. Told by one thread, read by any."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The seconds of what is over, and since when something is under way: one value, so that no reader sees half.
        self._now: tuple[float, float | None] = (0.0, None)

    def note(self, now_s: float, *, is_busy: bool) -> None:
        """Note whether anything is under way from monotonic time `now_s` on."""
        done_s, since_s = self._now
        if is_busy and since_s is None:
            self._now = (done_s, now_s)
        elif not is_busy and since_s is not None:
            self._now = (done_s + now_s - since_s, None)

    def sums(self) -> Sums:
        """Return the busy seconds so far, and the time."""
        (done_s, since_s), now_s = self._now, self._clock.monotonic_s()
        return Sums(done_s + (now_s - since_s if since_s is not None else 0.0), now_s)
