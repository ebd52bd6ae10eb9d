"""What is known of a demo so far: which events are answered, how fast, how well. Pure: it is told what happened."""

from array import array
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_infer.demo.events import Position, Prediction
from stream_infer.demo.gauges import BatchSizes

WINDOW_S: Final = 5.0
"""The live rate and latency are those of the last so many seconds."""
_MILLISECONDS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from an event to the reading of its prediction; 0 before there is one."""

    p50_ms: float = 0.0
    p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many predictions of one model version were right."""

    version: str
    right: int
    predictions: int

    @property
    def share(self) -> float:
        """Return the part that was right, 0 to 1."""
        return self.right / self.predictions


@dataclass(frozen=True, slots=True)
class Standing:
    """The state at one moment. An event counts as answered once, however often its answer comes."""

    seconds: float
    events: int
    predictions: int
    dead_letters: int
    repeated: int
    per_second: float
    latency: Latency
    batches: BatchSizes = field(default_factory=BatchSizes)
    accuracies: tuple[Accuracy, ...] = ()

    @property
    def unanswered(self) -> int:
        """Return how many events have neither a prediction nor a dead letter."""
        return self.events - self.predictions - self.dead_letters


@dataclass(slots=True)
class _Tally:
    right: int = 0
    predictions: int = 0


@dataclass(frozen=True, slots=True)
class _Answered:
    read_s: float
    latency_s: float


class Scoreboard:
    """Counts what it is told; `started_s` and every `read_s` are monotonic seconds, `now_s` of predictions wall-clock.

    An answer may be told before the delivery of its event. Deliveries of one partition come in offset order.
    """

    def __init__(self, *, started_s: float) -> None:
        self._started_s = started_s
        self._ended_s = started_s
        self._events = self._predictions = self._dead_letters = self._repeated = 0
        self._waiting: set[Position] = set()
        self._early: set[Position] = set()
        self._delivered: defaultdict[int, int] = defaultdict(lambda: -1)
        self._latencies_s = array("d")
        self._recent: deque[_Answered] = deque()
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

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
        tally = self._tallies[prediction.version]
        tally.predictions += 1
        tally.right += prediction.right
        latency_s = max(now_s - prediction.happened_s, 0.0)
        self._latencies_s.append(latency_s)
        self._recent.append(_Answered(read_s, latency_s))
        self._ended_s = read_s

    def dead_lettered(self, position: Position, *, read_s: float) -> None:
        """Note a dead letter that was read."""
        if self._is_new(position):
            self._dead_letters += 1
            self._ended_s = read_s

    def now(self, read_s: float, *, batches: BatchSizes) -> Standing:
        """Return the standing at a moment, rate and latency of the last seconds."""
        while self._recent and self._recent[0].read_s < read_s - WINDOW_S:
            self._recent.popleft()
        span_s = min(WINDOW_S, read_s - self._started_s)
        latencies_s = np.array([one.latency_s for one in self._recent])
        return self._standing(read_s, latencies_s, answers=len(self._recent), span_s=span_s, batches=batches)

    def whole(self, *, batches: BatchSizes) -> Standing:
        """Return the standing over everything, until the last answer."""
        answers = self._predictions + self._dead_letters
        span_s = self._ended_s - self._started_s
        return self._standing(
            self._ended_s, np.array(self._latencies_s), answers=answers, span_s=span_s, batches=batches
        )

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
        self, at_s: float, latencies_s: NDArray[np.float64], *, answers: int, span_s: float, batches: BatchSizes
    ) -> Standing:
        return Standing(
            seconds=at_s - self._started_s,
            events=self._events,
            predictions=self._predictions,
            dead_letters=self._dead_letters,
            repeated=self._repeated,
            per_second=answers / span_s if span_s > 0 else 0.0,
            latency=_latency(latencies_s),
            batches=batches,
            accuracies=tuple(
                Accuracy(version, one.right, one.predictions) for version, one in sorted(self._tallies.items())
            ),
        )


def _latency(latencies_s: NDArray[np.float64]) -> Latency:
    if not len(latencies_s):
        return Latency()
    p50_s, p99_s = np.quantile(latencies_s, (0.5, 0.99)).tolist()
    return Latency(p50_s * _MILLISECONDS, p99_s * _MILLISECONDS)
