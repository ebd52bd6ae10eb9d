"""What is known of a demo so far: which events are answered, how fast, how well. Pure: it is told what happened."""

from array import array
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_infer.demo.events import Position, Prediction
from stream_infer.demo.gauges import BatchSizes

WINDOW_S: Final = 5.0
"""The live rate, latency and accuracy are those of the last so many seconds."""
_MILLISECONDS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from an event to the reading of its prediction; 0 before there is one."""

    p50_ms: float = 0.0
    p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many predictions of one model version, as stable or as canary, were right, and what part of all they are.

    There is one prediction at least; `of_all` is from 0 to 1.
    """

    version: str
    variant: str
    right: int
    predictions: int
    of_all: float

    @property
    def share(self) -> float:
        """Return the part that was right, 0 to 1."""
        return self.right / self.predictions


@dataclass(frozen=True, slots=True)
class Standing:
    """The state at one moment. An event counts as answered once, however often its answer comes.

    `while_rolling` is the latency of what was read while versions changed, None when they never did.
    """

    seconds: float
    events: int
    predictions: int
    dead_letters: int
    repeated: int
    per_second: float
    latency: Latency
    while_rolling: Latency | None = None
    batches: BatchSizes = field(default_factory=BatchSizes)
    accuracies: tuple[Accuracy, ...] = ()

    @property
    def unanswered(self) -> int:
        """Return how many events have neither a prediction nor a dead letter."""
        return self.events - self.predictions - self.dead_letters


@dataclass(frozen=True, slots=True, order=True)
class _Answerer:
    version: str
    variant: str


@dataclass(slots=True)
class _Tally:
    right: int = 0
    predictions: int = 0

    def add(self, *, right: bool) -> None:
        self.predictions += 1
        self.right += right

    def take(self, *, right: bool) -> None:
        self.predictions -= 1
        self.right -= right


_Tallies = defaultdict[_Answerer, _Tally]


@dataclass(frozen=True, slots=True)
class _Answered:
    read_s: float
    latency_s: float
    by: _Answerer
    right: bool


class Scoreboard:
    """Counts what it is told; `started_s` and every `read_s` are monotonic seconds, `now_s` of predictions wall-clock.

    An answer may be told before the delivery of its event. Deliveries of one partition come in offset order.
    `is_rolling` is set by whoever knows whether versions change while predictions are read.
    """

    def __init__(self, *, started_s: float) -> None:
        self.is_rolling = False
        self._started_s = started_s
        self._ended_s = started_s
        self._events = self._predictions = self._dead_letters = self._repeated = 0
        self._waiting: set[Position] = set()
        self._early: set[Position] = set()
        self._delivered: defaultdict[int, int] = defaultdict(lambda: -1)
        self._latencies_s = array("d")
        self._rolling = bytearray()
        self._recent: deque[_Answered] = deque()
        self._recent_tallies: _Tallies = defaultdict(_Tally)
        self._tallies: _Tallies = defaultdict(_Tally)

    @property
    def unanswered(self) -> int:
        """Return how many delivered events have no answer yet."""
        return len(self._waiting)

    def delivered(self, position: Position) -> None:
        """Note that an event lies in the input topic."""
        self._events += 1
        self._delivered[position.partition] = position.offset
        if position in self._early:
            self._early.remove(position)
        else:
            self._waiting.add(position)

    def predicted(self, prediction: Prediction, *, read_s: float, now_s: float) -> None:
        """Note a prediction that was read."""
        if not self._is_new(prediction.position):
            return
        self._predictions += 1
        by = _Answerer(prediction.version, prediction.variant)
        answered = _Answered(read_s, max(now_s - prediction.happened_s, 0.0), by, prediction.right)
        for tallies in (self._tallies, self._recent_tallies):
            tallies[by].add(right=answered.right)
        self._latencies_s.append(answered.latency_s)
        self._rolling.append(self.is_rolling)
        self._recent.append(answered)
        self._ended_s = read_s

    def dead_lettered(self, position: Position, *, read_s: float) -> None:
        """Note a dead letter that was read."""
        if self._is_new(position):
            self._dead_letters += 1
            self._ended_s = read_s

    def now(self, read_s: float, *, batches: BatchSizes) -> Standing:
        """Return the standing at a moment: rate, latency and accuracies of the last seconds."""
        self._forget(read_s - WINDOW_S)
        span_s = min(WINDOW_S, read_s - self._started_s)
        return self._standing(
            read_s,
            latency=_latency(np.array([one.latency_s for one in self._recent])),
            per_second=_rate(len(self._recent), span_s),
            tallies=self._recent_tallies,
            batches=batches,
        )

    def whole(self, *, batches: BatchSizes) -> Standing:
        """Return the standing over everything, until the last answer."""
        latencies_s, rolling = np.array(self._latencies_s), np.array(self._rolling, dtype=np.bool_)
        standing = self._standing(
            self._ended_s,
            latency=_latency(latencies_s),
            per_second=_rate(self._predictions + self._dead_letters, self._ended_s - self._started_s),
            tallies=self._tallies,
            batches=batches,
        )
        return replace(standing, while_rolling=_latency(latencies_s[rolling]) if rolling.any() else None)

    def _forget(self, until_s: float) -> None:
        while self._recent and self._recent[0].read_s < until_s:
            one = self._recent.popleft()
            self._recent_tallies[one.by].take(right=one.right)

    def _is_new(self, position: Position) -> bool:
        """Say whether an answer is the first for its event, and take the event off the list."""
        if position in self._waiting:
            self._waiting.remove(position)
        elif position.offset <= self._delivered[position.partition] or position in self._early:
            self._repeated += 1
            return False
        else:
            self._early.add(position)
        return True

    def _standing(
        self, at_s: float, *, latency: Latency, per_second: float, tallies: _Tallies, batches: BatchSizes
    ) -> Standing:
        return Standing(
            seconds=at_s - self._started_s,
            events=self._events,
            predictions=self._predictions,
            dead_letters=self._dead_letters,
            repeated=self._repeated,
            per_second=per_second,
            latency=latency,
            batches=batches,
            accuracies=_accuracies(tallies),
        )


def _rate(answers: int, span_s: float) -> float:
    return answers / span_s if span_s > 0 else 0.0


def _accuracies(tallies: _Tallies) -> tuple[Accuracy, ...]:
    total = sum(tally.predictions for tally in tallies.values())
    return tuple(
        Accuracy(by.version, by.variant, tally.right, tally.predictions, tally.predictions / total)
        for by, tally in sorted(tallies.items(), key=lambda item: item[0])
        if tally.predictions
    )


def _latency(latencies_s: NDArray[np.float64]) -> Latency:
    if not len(latencies_s):
        return Latency()
    p50_s, p99_s = np.quantile(latencies_s, (0.5, 0.99)).tolist()
    return Latency(p50_s * _MILLISECONDS, p99_s * _MILLISECONDS)
