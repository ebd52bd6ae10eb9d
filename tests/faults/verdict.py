"""What became of millions of records, by whole columns: lost, duplicated, out of order, wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from tests.checker.laws import TOLERANCE
from tests.checker.reading import Decode, UnreadableValueError, headers_of, source_of
from tests.checker.reference import Reference

SHOWN = 5
CHUNK = 50_000


@dataclass(slots=True)
class Verdict:
    """Counts of one run, and the first few findings in words."""

    records: int = 0
    skipped: int = 0
    predictions: int = 0
    dead_letters: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    wrong: int = 0
    phantoms: int = 0
    undeserved: int = 0
    findings: list[str] = field(default_factory=list)

    def broken(self, *, exactly_once: bool) -> list[str]:
        """Say what no run may have, and where the first of it is."""
        counts = {"lost": self.lost, "out of order": self.out_of_order, "wrong": self.wrong}
        counts |= {"answers to nothing": self.phantoms, "dead letters of sound records": self.undeserved}
        counts |= {"duplicated": self.duplicated} if exactly_once else {}
        found = [f"{count:,} {what}" for what, count in counts.items() if count]
        return [*found, *self.findings] if found else []

    def sentence(self) -> str:
        """Say all of it."""
        return (
            f"{self.records:,} records ({self.skipped:,} without a value), {self.predictions:,} predictions, "
            f"{self.dead_letters:,} dead letters: {self.lost:,} lost, {self.duplicated:,} answered again, "
            f"{self.out_of_order:,} out of order, {self.wrong:,} wrong, {self.phantoms:,} for nothing"
        )

    def find(self, what: str, places: Iterable[tuple[int, int]]) -> None:
        """Note the first few places of a finding."""
        self.findings += [f"{what}: partition {lane} offset {offset}" for lane, offset in islice(places, SHOWN)]


class Inputs:
    """The input by partition and offset, which has no gaps: whether a record needs an answer, and its features."""

    def __init__(self, messages: Iterable[Message], decode: Decode, *, width: int) -> None:
        features: dict[int, list[NDArray[np.float32]]] = {}
        self.needs: dict[int, NDArray[np.bool_]] = {}
        needs: dict[int, list[bool]] = {}
        nothing = np.full(width, np.nan, np.float32)
        for message in messages:
            lane, value = int(message.partition() or 0), message.value()
            rows = features.setdefault(lane, [])
            if message.offset() != len(rows):
                raise RuntimeError(f"the input has a gap: offset {message.offset()} follows {len(rows) - 1}")
            rows.append(_features(value, decode, nothing))
            needs.setdefault(lane, []).append(value is not None)
        self.features = {lane: np.array(rows) for lane, rows in features.items()}
        self.needs = {lane: np.array(rows) for lane, rows in needs.items()}


def _features(value: bytes | None, decode: Decode, nothing: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        found = decode(value)["features"] if value is not None else []
    except UnreadableValueError:
        return nothing
    return np.array(found, np.float32) if len(found) == len(nothing) else nothing


class Judge:
    """Counts answers as they are read, each partition of an output in its order; `verdict` has what was found."""

    def __init__(self, inputs: Inputs, references: Mapping[str, Reference]) -> None:
        self._inputs = inputs
        self._references = references
        self._counts = {lane: np.zeros(len(needs), np.int32) for lane, needs in inputs.needs.items()}
        self._newest: dict[tuple[int, int], int] = {}
        self._waiting: list[tuple[int, int, str, list[float]]] = []
        self.verdict = Verdict(
            records=sum(map(len, inputs.needs.values())),
            skipped=sum(int((~needs).sum()) for needs in inputs.needs.values()),
        )

    def predictions(self, messages: Iterable[Message], decode: Decode) -> None:
        """Take the records of the output topic."""
        for message in messages:
            record = decode(message.value() or b"")
            lane, offset = record["source_partition"], record["source_offset"]
            self.verdict.predictions += 1
            is_first = self._count(lane, offset)
            if is_first:
                self._order((int(message.partition() or 0), lane), offset)
            self._waiting.append((lane, offset, record["model_version"], record["scores"]))
            if len(self._waiting) >= CHUNK:
                self._score()
        self._score()

    def dead_letters(self, messages: Iterable[Message]) -> None:
        """Take the records of the dead-letter topic."""
        for message in messages:
            source = source_of(headers_of(message))
            self.verdict.dead_letters += 1
            self._count(source.partition, source.offset)
            if self._is_sound(source.partition, source.offset):
                self.verdict.undeserved += 1
                self.verdict.find("refused, though it can be scored", [(source.partition, source.offset)])

    def end(self) -> Verdict:
        """Return the verdict over everything that was taken."""
        for lane, counts in self._counts.items():
            needs = self._inputs.needs[lane]
            lost, more = np.flatnonzero(needs & (counts == 0)), np.flatnonzero(counts > 1)
            self.verdict.lost += len(lost)
            self.verdict.duplicated += int((counts[more] - 1).sum())
            self.verdict.find("never answered", ((lane, int(offset)) for offset in lost))
            self.verdict.find("answered again", ((lane, int(offset)) for offset in more))
        return self.verdict

    def within(self, start: Mapping[int, int], stop: Mapping[int, int]) -> tuple[int, int, int]:
        """Return how many records lie between two sets of offsets, and how many of them were lost and duplicated."""
        records = lost = duplicated = 0
        for lane, counts in self._counts.items():
            part = slice(start.get(lane, 0), stop.get(lane, 0))
            records += len(counts[part])
            lost += int((self._inputs.needs[lane][part] & (counts[part] == 0)).sum())
            duplicated += int(np.maximum(counts[part] - 1, 0).sum())
        return records, lost, duplicated

    def _count(self, lane: int, offset: int) -> bool:
        """Count one answer; whether it is the first for its record."""
        counts = self._counts.get(lane)
        if counts is None or offset >= len(counts) or not self._inputs.needs[lane][offset]:
            self.verdict.phantoms += 1
            self.verdict.find("an answer to nothing", [(lane, offset)])
            return False
        counts[offset] += 1
        return bool(counts[offset] == 1)

    def _order(self, way: tuple[int, int], offset: int) -> None:
        if offset < self._newest.get(way, -1):
            self.verdict.out_of_order += 1
            self.verdict.find("out of order", [(way[1], offset)])
        self._newest[way] = max(offset, self._newest.get(way, -1))

    def _score(self) -> None:
        """Compare the scores that wait with what the version that each names says."""
        for version in {version for _, _, version, _ in self._waiting}:
            rows = [row for row in self._waiting if row[2] == version and self._is_known(row[0], row[1])]
            features = np.array([self._inputs.features[lane][offset] for lane, offset, _, _ in rows])
            expected = self._references[version].scores(features.tolist())
            got = np.array([scores for _, _, _, scores in rows])
            # Not <=, so that a score that is no number is wrong.
            wrong = ~(np.abs(got - expected).max(axis=1) <= TOLERANCE)
            self.verdict.wrong += int(wrong.sum())
            self.verdict.find("wrong scores", (rows[row][:2] for row in np.flatnonzero(wrong)))
        self._waiting.clear()

    def _is_sound(self, lane: int, offset: int) -> bool:
        """Whether a record can be scored: all its features are there and are numbers."""
        return self._is_known(lane, offset) and bool(np.isfinite(self._inputs.features[lane][offset]).all())

    def _is_known(self, lane: int, offset: int) -> bool:
        return lane in self._counts and offset < len(self._counts[lane])
