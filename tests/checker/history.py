"""What a run left behind, as values: read from topics and committed offsets alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

STABLE = "stable"
CANARY = "canary"
Fate = Literal["committed", "aborted", "open", "in no transaction"]


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
    """One record of the output topic; `source` is the input position that it names.

    `inferred_at_us` is microseconds since 1970 by the worker's clock, one number for all rows of a batch.
    """

    place: Place
    key: bytes | None
    timestamp_ms: int
    source: Place
    event_id: str | None
    prediction: float | None
    confidence: float | None
    scores: Sequence[float]
    version: str
    digest: str
    revision: int
    variant: str
    inferred_at_us: int


class DeadLetter(NamedTuple):
    """One record of the dead-letter topic; `source` and `version` are what its headers name."""

    place: Place
    source: Place
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The offsets at one moment of a run: `committed` was read first, `ends` of the topics of answers after it.

    So every answer that a committed offset promises lies below `ends`.
    """

    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class CanaryShare:
    """A canary as a control record names it: keys whose share, 0 to 9999, is below `hundredths` belong to it."""

    version: str
    hundredths: int
    seed: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A control record that counted, or revision 0: what the settings named; `told_at_ms` is its timestamp."""

    revision: int
    stable: str
    canary: CanaryShare | None = None
    told_at_ms: int = 0

    def names(self, variant: str) -> str | None:
        """Return the version that a variant is, None where there is none of it."""
        if variant == CANARY:
            return self.canary.version if self.canary else None
        return self.stable if variant == STABLE else None


class VersionSaid(NamedTuple):
    """A version as a worker's status shows it; `since_us` is microseconds since 1970."""

    version: str
    digest: str | None
    variant: str | None
    state: str
    reason: str | None
    since_us: int


class WorkerSaid(NamedTuple):
    """One record of the status topic: what a worker said of itself."""

    worker: str
    applied_revision: int
    versions: tuple[VersionSaid, ...]
    tripped: str | None
    reported: tuple[str, ...]
    at_us: int


class Retry(NamedTuple):
    """One record of the retry topic; `source` is the input position that its headers name."""

    place: Place
    source: Place


class Written(NamedTuple):
    """Records of a topic of answers as they lie in its log, from `first` to `last`, and what became of them."""

    lane: Partition
    first: int
    last: int
    fate: Fate


class Commit(NamedTuple):
    """A position that counted: the group's generation in the log's order, and the producer whose transaction it was."""

    lane: Partition
    offset: int
    generation: int
    producer: int
    epoch: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a run read and wrote; records of a partition in its order, observations in time's.

    `rollouts` are in the order in which they counted, `said` in that of the status topic. What only exactly once has:
    `along` is where a reader of committed records found answers while the run went on, in its order; `written`, asked
    for after the answers were read, and `commits` are in the logs' order.
    """

    events: Sequence[Event]
    predictions: Sequence[Prediction]
    dead_letters: Sequence[DeadLetter]
    observations: Sequence[Observation]
    rollouts: Sequence[Rollout] = ()
    said: Sequence[WorkerSaid] = ()
    retries: Sequence[Retry] = ()
    along: Sequence[Place] = ()
    written: Sequence[Written] = ()
    commits: Sequence[Commit] = ()

    @property
    def retried(self) -> frozenset[Place]:
        """Return the input positions that were sent back to be scored again."""
        return frozenset(one.source for one in self.retries)

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
