"""What the pipeline needs from outside, as small protocols: it knows no Kafka client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_infer.records import Headers, Positions


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Records to produce to one topic, as columns of the same length.

    `timestamps_ms` are milliseconds since the epoch, -1 for the time of sending; `partitions` is None where the
    partitioner decides by key, and holds -1 for single rows it decides; `headers` is None when no row has any.
    """

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    timestamps_ms: Sequence[int]
    partitions: Sequence[int] | None = None
    headers: Sequence[Headers | None] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Unsent:
    """One row that can never be sent as it is, and why, as one sentence."""

    row: int
    message: str


class OutputProducer(Protocol):
    """Where predictions and dead letters go. Used by the compute thread alone."""

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to the producer, waiting while its buffer is full; return those that are too large to send.

        Raises `Stop` when an earlier record failed for good.
        """
        ...

    def flush(self) -> None:
        """Wait until everything sent is delivered, however long the brokers are away.

        Raises `Stop` when a record failed for good.
        """
        ...

    def partition_count(self, topic: str) -> int:
        """Return how many partitions `topic` has."""
        ...


class PositionCommitter(Protocol):
    """The consumer thread, as the compute thread sees it."""

    def commit(self, positions: Positions) -> None:
        """Ask for positions to be committed, without waiting: those of partitions given up meanwhile are left out."""
        ...
