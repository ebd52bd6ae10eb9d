"""Repeated: what may be said with every record, batch or attempt is said once, then once a minute with a count."""

import logging
import re
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stream_infer.clock import Clock, SystemClock

PERIOD_S: Final = 60.0
MOST_KINDS: Final = 1000
OTHERS: Final = "others"
"""What all further kinds count as while `MOST_KINDS` were said within a period."""
NUMBERS: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
CALLER: Final = 3
"""Frames from `Logger.log` up to whoever called `Repeated.warning`."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was left out: text only, so that it keeps nothing alive that was said in it."""

    logger: logging.Logger
    level: int
    text: str
    extra: Mapping[str, object]

    def say(self, *, left_out: int) -> None:
        """Write it after all; `left_out` counts the others of its kind."""
        self.logger.log(self.level, "%s", self.text, extra={**self.extra, **_counted(left_out)})


@dataclass(slots=True)
class _Kind:
    said_s: float
    left_out: int = 0
    last: Line | None = None


class Repeats:
    """What was said when, and what was left out since; from any thread. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}
        # A client that is collected while the lock is held may log in the same thread.
        self._lock = threading.RLock()

    def take(self, kind: Hashable, line: Line, now_s: float) -> int | None:
        """Return how many lines were left out before this one; None when it is left out itself."""
        with self._lock:
            known = self._kinds.setdefault(self._counted_as(kind, now_s), _Kind(float("-inf")))
            if now_s < known.said_s + PERIOD_S:
                known.left_out += 1
                known.last = line
                return None
            left_out, known.said_s, known.left_out, known.last = known.left_out, now_s, 0, None
            return left_out

    def due(self, now_s: float) -> list[tuple[Line, int]]:
        """Take out the last line that was left out of each kind whose period is over, with the count of the others."""
        with self._lock:
            over = {kind: known for kind, known in self._kinds.items() if now_s >= known.said_s + PERIOD_S}
            for kind, known in over.items():
                if known.last is None:
                    del self._kinds[kind]
                else:
                    self._kinds[kind] = _Kind(now_s)
            return [(known.last, known.left_out - 1) for known in over.values() if known.last is not None]

    def _counted_as(self, kind: Hashable, now_s: float) -> Hashable:
        """Return the kind itself, or `OTHERS` where so many are known that no more can be kept."""
        if kind in self._kinds or len(self._kinds) < MOST_KINDS:
            return kind
        over = [one for one, known in self._kinds.items() if known.last is None and now_s >= known.said_s + PERIOD_S]
        for one in over:
            del self._kinds[one]
        return kind if over else OTHERS


_REPEATS: Final = Repeats()


class Repeated:
    """A logger for what may be said again and again; lines are of a kind that share words, but for what is put in them.

    `by_text` is for words of others, in which everything is put already: such as differ in numbers only are a kind.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        by_text: bool = False,
        repeats: Repeats = _REPEATS,
        clock: Clock | None = None,
    ) -> None:
        self._logger = logger
        self._by_text = by_text
        self._repeats = repeats
        self._clock = clock or SystemClock()

    def info(self, text: str, /, *values: object, each: Hashable = None, extra: Mapping[str, object] = NOTHING) -> None:
        """Say what need not be done about; see `log`."""
        self._say(logging.INFO, text, values, each=each, extra=extra)

    def warning(
        self, text: str, /, *values: object, each: Hashable = None, extra: Mapping[str, object] = NOTHING
    ) -> None:
        """Say what may need to be done about; see `log`."""
        self._say(logging.WARNING, text, values, each=each, extra=extra)

    def error(
        self, text: str, /, *values: object, each: Hashable = None, extra: Mapping[str, object] = NOTHING
    ) -> None:
        """Say what must be done about; see `log`."""
        self._say(logging.ERROR, text, values, each=each, extra=extra)

    def log(self, level: int, text: str, /, *values: object) -> None:
        """Say one line of `text % values`, unless one of its kind was said within a minute: then count it.

        `each` tells kinds apart that share their words, `extra` holds the line's fields; see `FIELDS`.
        """
        self._say(level, text, values, each=None, extra=NOTHING)

    def _say(
        self, level: int, text: str, values: tuple[object, ...], *, each: Hashable, extra: Mapping[str, object]
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        if level <= logging.DEBUG:
            # Whoever asks for these wants all of them.
            self._logger.log(level, text, *values, extra=dict(extra), stacklevel=CALLER)
            return
        whole = text % values if values else text
        kind = (self._logger.name, level, NUMBERS.sub("", whole) if self._by_text else text, each)
        left_out = self._repeats.take(kind, Line(self._logger, level, whole, extra), self._clock.monotonic_s())
        if left_out is not None:
            self._logger.log(level, text, *values, extra={**extra, **_counted(left_out)}, stacklevel=CALLER)


def say_left_out() -> None:
    """Say the last line of every kind that was left out for a minute, with the count of the others of its kind."""
    _say_all(SystemClock().monotonic_s())


def say_everything_left_out() -> None:
    """Say that of every kind, however short ago it was said before, and forget what was said: nothing follows."""
    _say_all(float("inf"))
    _REPEATS.due(float("inf"))


def _say_all(now_s: float) -> None:
    for line, left_out in _REPEATS.due(now_s):
        line.say(left_out=left_out)


def _counted(left_out: int) -> dict[str, object]:
    return {"left_out": left_out} if left_out else {}
