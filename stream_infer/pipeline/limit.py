"""Limit: when so much is refused that the model or the configuration is at fault, not the records. Pure.

Two things raise suspicion: a window with too many refused records, and a model that has scored nothing since it failed
last. The window alone would let a model that breaks after a good minute refuse as many records as that minute had.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BUCKETS: Final = 60
"""Parts of a window: it reaches back at least 59/60 of its seconds, and never more than all of them."""


class Fate(StrEnum):
    """What to do with answers: send them, hold them back until more is known, or hold them and ask for no more."""

    SEND = "send"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Tally:
    """Records that were answered or refused, how many of them were refused, and how many of those for the model."""

    records: int = 0
    refused: int = 0
    by_model: int = 0

    @property
    def ratio(self) -> float:
        """The share of refused records; 0 of none."""
        return self.refused / self.records if self.records else 0.0

    @property
    def ratio_by_model(self) -> float:
        """The share of records that the model refused; 0 of none."""
        return self.by_model / self.records if self.records else 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.records + other.records, self.refused + other.refused, self.by_model + other.by_model)

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(self.records - other.records, self.refused - other.refused, self.by_model - other.by_model)


@dataclass(frozen=True, slots=True)
class Allowed:
    """`delivery.dead_letter_limit`. A `max_ratio` of 1 allows everything."""

    max_ratio: float
    min_records: int
    window_s: float


class RefusalLimit:
    """Judges what is held together with what was sent within the window. Times are monotonic seconds."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self._sent: deque[tuple[int, Tally]] = deque()
        self._seen = Tally()
        self._failed = 0

    @property
    def is_failing(self) -> bool:
        """Whether the model has failed and scored nothing since."""
        return self._failed > 0 and self.allowed.max_ratio < 1

    def note_model(self, *, scored: int, failed: int) -> None:
        """Note what the model made of one batch."""
        self._failed = 0 if scored else self._failed + failed

    def note_sent(self, now_s: float, tally: Tally) -> None:
        """Note what left the worker."""
        number = int(now_s * BUCKETS / self.allowed.window_s)
        self._seen += tally
        if self._sent and self._sent[-1][0] == number:
            tally += self._sent.pop()[1]
        self._sent.append((number, tally))

    def judge(self, now_s: float, held: Tally, *, since_s: float, is_full: bool) -> Fate:
        """Return what becomes of everything that is held, the newest batch counted, the oldest of `since_s`.

        `is_full` says that nothing more may be held. Few refusals are let go after the window, unless it is the model
        that makes them: a single bad record on a quiet topic is not held for ever.
        """
        self._expire(now_s)
        window = self._seen + held
        is_above = window.ratio > self.allowed.max_ratio
        if is_above and (is_full or window.records >= self.allowed.min_records):
            return Fate.STOP
        if self.is_failing:
            return Fate.STOP if is_full or self._failed >= self.allowed.min_records else Fate.HOLD
        is_new = now_s < since_s + self.allowed.window_s
        return Fate.HOLD if is_above and (is_new or window.ratio_by_model > self.allowed.max_ratio) else Fate.SEND

    def describe(self, held: Tally) -> str:
        """Say in words what raised suspicion."""
        window = self._seen + held
        if self.is_failing and window.ratio <= self.allowed.max_ratio:
            return f"the model failed on the last {self._failed} records that it was given"
        return (
            f"{window.refused} of {window.records} records within {self.allowed.window_s:g} s were refused, "
            f"delivery.dead_letter_limit.max_ratio is {self.allowed.max_ratio:g}"
        )

    def clear(self) -> None:
        """Forget everything: something else serves."""
        self._sent.clear()
        self._seen = Tally()
        self._failed = 0

    def _expire(self, now_s: float) -> None:
        oldest = int(now_s * BUCKETS / self.allowed.window_s) - BUCKETS
        while self._sent and self._sent[0][0] <= oldest:
            self._seen -= self._sent.popleft()[1]
