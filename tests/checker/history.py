"""What a run left behind, as values: read from topics and committed offsets alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Partition(NamedTuple):
    """A topic and a partition number."""

    topic: str
    partition: int


class Place(NamedTuple):
    """Where a record lies: of an input record it is the source position that its answer names."""

    topic: str
    partition: int
    offset: int

    @property
    def lane(self) -> Partition:
        return Partition(self.topic, self.partition)


class Event(NamedTuple):
    """One input record. `features` is None where nobody could score the value; `skipped` says that there is none."""

    place: Place
    key: bytes | None
    timestamp_ms: int
    skipped: bool
    event_id: str | None
    features: Sequence[float] | None


class Prediction(NamedTuple):
    """One record of the output topic; `source` is the input position that it names."""

    place: Place
    key: bytes | None
    timestamp_ms: int
    source: Place
    event_id: str | None
    prediction: float | None
    confidence: float | None
    scores: Sequence[float]


class DeadLetter(NamedTuple):
    """One record of the dead-letter topic; `source` is what its headers name."""

    place: Place
    source: Place


@dataclass(frozen=True, slots=True)
class Observation:
    """The offsets at one moment of a run: `committed` was read first, `ends` of the topics of answers after it.

    So every answer that a committed offset promises lies below `ends`.
    """

    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a run read and wrote; records of a partition in its order, observations in time's."""

    events: Sequence[Event]
    predictions: Sequence[Prediction]
    dead_letters: Sequence[DeadLetter]
    observations: Sequence[Observation]

    @property
    def committed(self) -> Mapping[Partition, int]:
        """Return the offsets committed at the end, the next one to read of each partition."""
        return self.observations[-1].committed if self.observations else {}

    def answers(self) -> Sequence[Prediction | DeadLetter]:
        """Return predictions and dead letters."""
        return [*self.predictions, *self.dead_letters]


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, and one sentence that names the record and says what was found."""

    law: str
    found: str
