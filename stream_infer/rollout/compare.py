"""Compare: two streams of predictions joined by source position, and how they differ.

Both are read alternately and once. Memory: one bit for each offset that was answered, one kept answer for each position
that only one side has answered so far, at most `KEPT` of them on each side, and counters whose number is fixed.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from typing import Final

import numpy as np

from stream_infer.records import Partition

KEPT: Final = 1_000_000
"""Answers that wait for the other side; beyond it the oldest is counted as one side's alone."""
PAIRS: Final = 2_500
"""Pairs of labels that are told apart: all, with fifty labels."""
QUANTILES: Final = (0.5, 0.9, 0.99, 0.999)

_CHUNK_BITS: Final = 1 << 16
_EDGES: Final = (0.0, *np.logspace(-12, 6, 18 * 64 + 1).tolist(), math.inf)
"""Upper ends of the steps in which differences are counted: 64 to a decade."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction: `source` and `offset` are the position of the event that it answers."""

    source: Partition
    offset: int
    version: str
    variant: str
    prediction: float | None
    label: str | None
    confidence: float | None
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """How many first answers of one side a version gave as one variant."""

    version: str
    variant: str
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """How many events have label `a` on one side and `b` on the other; a class without a name is its number."""

    a: str
    b: str
    count: int


@dataclass(frozen=True, slots=True)
class Quantile:
    """`share` of the compared positions differ in no score by more than `at_most`, which is up to 4 % too high."""

    share: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sides differ; only the first answer for a position counts, `repeated` ones are left out.

    `compared` positions are on both sides. Of those `predicted` have a prediction on both, in `agreeing` it is equal;
    `other_lengths` have score lists of different lengths, and `differences` and `largest_difference` (None without
    any) are over the others: the largest absolute difference of a position's scores, infinite where only one is a
    finite number. `dropped` of `only_a` and `only_b` were given up because too many waited: they may be on both.
    """

    compared: int
    only_a: int
    only_b: int
    dropped: int
    repeated: int
    predicted: int
    agreeing: int
    changes: tuple[Change, ...]
    other_changes: int
    other_lengths: int
    differences: tuple[Quantile, ...]
    largest_difference: float | None
    versions_a: tuple[Served, ...]
    versions_b: tuple[Served, ...]


def compare(a: Iterable[Answer], b: Iterable[Answer], *, kept: int = KEPT) -> Comparison:
    """Return how two streams of answers differ; neither needs an order."""
    join = Join(kept=kept)
    for of_a, of_b in zip_longest(a, b):
        if of_a is not None:
            join.add_a(of_a)
        if of_b is not None:
            join.add_b(of_b)
    return join.result()


@dataclass(slots=True)
class _Seen:
    """Which positions were answered, a bit each."""

    chunks: dict[tuple[Partition, int], bytearray] = field(default_factory=dict)

    def add(self, source: Partition, offset: int) -> bool:
        """Note a position; return whether it is new."""
        number, bit = divmod(offset, _CHUNK_BITS)
        chunk = self.chunks.setdefault((source, number), bytearray())
        byte, mask = bit >> 3, 1 << (bit & 7)
        if byte >= len(chunk):
            chunk.extend(bytes(byte + 1 - len(chunk)))
        is_new = not chunk[byte] & mask
        chunk[byte] |= mask
        return is_new


@dataclass(slots=True)
class _Side:
    """One stream so far: what was seen, what waits for the other side, what answered."""

    seen: _Seen = field(default_factory=_Seen)
    waiting: dict[tuple[Partition, int], Answer] = field(default_factory=dict)
    served: Counter[tuple[str, str]] = field(default_factory=Counter)
    repeated: int = 0
    dropped: int = 0

    def take(self, answer: Answer) -> bool:
        """Count an answer; return whether it is the first for its position."""
        if not self.seen.add(answer.source, answer.offset):
            self.repeated += 1
            return False
        self.served[answer.version, answer.variant] += 1
        return True

    def keep(self, answer: Answer, *, kept: int) -> None:
        """Let an answer wait; the oldest makes room."""
        if len(self.waiting) >= kept:
            del self.waiting[next(iter(self.waiting))]
            self.dropped += 1
        self.waiting[answer.source, answer.offset] = answer

    @property
    def alone(self) -> int:
        return len(self.waiting) + self.dropped

    def versions(self) -> tuple[Served, ...]:
        return tuple(Served(*key, count) for key, count in self.served.most_common())


@dataclass(slots=True)
class _Scores:
    """Differences of scores, counted in steps."""

    counts: list[int] = field(default_factory=lambda: [0] * len(_EDGES))
    largest: float | None = None
    other_lengths: int = 0

    def add(self, a: Answer, b: Answer) -> None:
        """Count the difference of two answers for a position."""
        if len(a.scores) != len(b.scores):
            self.other_lengths += 1
            return
        difference = max(map(_difference, a.scores, b.scores), default=0.0)
        self.largest = difference if self.largest is None else max(difference, self.largest)
        self.counts[bisect_left(_EDGES, difference)] += 1

    def quantiles(self) -> Iterator[Quantile]:
        """Yield each quantile as the upper end of the step that it lies in, or the largest difference below it."""
        if self.largest is None:
            return
        reached = list(accumulate(self.counts))
        for share in QUANTILES:
            step = bisect_left(reached, math.ceil(share * reached[-1]))
            yield Quantile(share, min(_EDGES[step], self.largest))


class Join:
    """Joins two streams as they come; see `compare`."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._a = _Side()
        self._b = _Side()
        self._scores = _Scores()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._compared = self._predicted = self._agreeing = self._other_changes = 0

    def add_a(self, answer: Answer) -> None:
        """Take an answer of the first stream."""
        if self._a.take(answer):
            other = self._b.waiting.pop((answer.source, answer.offset), None)
            self._a.keep(answer, kept=self._kept) if other is None else self._match(answer, other)

    def add_b(self, answer: Answer) -> None:
        """Take an answer of the second stream."""
        if self._b.take(answer):
            other = self._a.waiting.pop((answer.source, answer.offset), None)
            self._b.keep(answer, kept=self._kept) if other is None else self._match(other, answer)

    def result(self) -> Comparison:
        """Return how the streams differ so far."""
        return Comparison(
            compared=self._compared,
            only_a=self._a.alone,
            only_b=self._b.alone,
            dropped=self._a.dropped + self._b.dropped,
            repeated=self._a.repeated + self._b.repeated,
            predicted=self._predicted,
            agreeing=self._agreeing,
            changes=tuple(Change(*pair, count) for pair, count in self._changes.most_common()),
            other_changes=self._other_changes,
            other_lengths=self._scores.other_lengths,
            differences=tuple(self._scores.quantiles()),
            largest_difference=self._scores.largest,
            versions_a=self._a.versions(),
            versions_b=self._b.versions(),
        )

    def _match(self, a: Answer, b: Answer) -> None:
        self._compared += 1
        self._scores.add(a, b)
        if a.prediction is not None and b.prediction is not None:
            self._predicted += 1
            self._agreeing += a.prediction == b.prediction or (math.isnan(a.prediction) and math.isnan(b.prediction))
        self._note_labels(_label(a), _label(b))

    def _note_labels(self, a: str | None, b: str | None) -> None:
        if a is None or b is None or a == b:
            return
        if (a, b) in self._changes or len(self._changes) < PAIRS:
            self._changes[a, b] += 1
        else:
            self._other_changes += 1


def _label(answer: Answer) -> str | None:
    """Return an answer's label, the number of its class where classes have no names, None for no classification."""
    if answer.label is not None or answer.prediction is None or answer.confidence is None:
        return answer.label
    return f"{answer.prediction:g}"


def _difference(a: float, b: float) -> float:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    difference = abs(a - b)
    return math.inf if math.isnan(difference) else difference
