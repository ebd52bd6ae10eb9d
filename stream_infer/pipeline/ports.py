"""What the pipeline needs from outside, as small protocols: it knows no Kafka client."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_infer.records import Headers, Positions, Records


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Records to produce to one topic, as columns of the same length.

    `timestamps_ms` are milliseconds since the epoch, int64, -1 for the time of sending; `partitions` is None where the
    partitioner decides by key, and holds -1 for single rows it decides; `headers` is None when no row has any. Raises
    ValueError for columns of different lengths, of which a producer would leave rows out.
    """

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    timestamps_ms: NDArray[np.int64]
    partitions: Sequence[int] | None = None
    headers: Sequence[Headers | None] | None = None

    def __post_init__(self) -> None:
        columns = (self.keys, self.timestamps_ms, self.partitions, self.headers)
        lengths = {len(self.values), *(len(column) for column in columns if column is not None)}
        if len(lengths) > 1:
            message = f"records for {self.topic} have columns of {sorted(lengths)} rows: expected as many in each"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Unsent:
    """One row that can never be sent as it is, and why, as one sentence."""

    row: int
    message: str


class Intake(Protocol):
    """How much may come in: counted by the consumer thread, given back by the compute thread."""

    def give(self, records: int, *, size_bytes: int) -> None:
        """Count what left the worker."""
        ...

    def give_turn(self, polls: int) -> None:
        """Count polls that the compute thread is through with."""
        ...

    def close(self) -> None:
        """Let nothing come in any more."""
        ...

    def open(self) -> None:
        """Let records come in again."""
        ...


class OutputProducer(Protocol):
    """Where predictions and dead letters go. Used by the compute thread alone."""

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to the producer, waiting while its buffer is full; return those that are too large to send.

        Raises `Stop` when an earlier record failed for good, and `Undone` as `flush` does.
        """
        ...

    def flush(self) -> None:
        """Wait until everything sent is delivered, however long the brokers are away.

        Raises `Stop` when a record failed for good, and `Undone` when what was sent must be sent again.
        """
        ...

    def look(self) -> None:
        """Let the producer say what happened to it; to be called every few seconds when nothing is sent.

        Raises `Undone` as `flush` does.
        """
        ...


class Tracer(Protocol):
    """Who is told of batches so that they can be traced. Used by the compute thread alone."""

    def sent(self, records: Records, about: Mapping[str, str | int]) -> None:
        """Note a batch whose answers are with the producer; `about` says what scored it."""
        ...


class TransactionalProducer(OutputProducer, Protocol):
    """A producer whose `send` opens a transaction when none is open; what it raises `Undone` for must be aborted."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to commit or to abort."""
        ...

    def commit(self, positions: Positions, membership: object, *, within_s: float) -> Future[float]:
        """Begin to commit everything sent since the last commit together with positions, in one transaction.

        Nothing else may be called before that has ended. The result is the seconds that it took; raised are `Undone`
        when it is rolled back or cannot be known, and `Stop` when it must not be tried again.
        """
        ...

    def abort(self, *, within_s: float) -> None:
        """Roll back what is open; where that is not sure within `within_s`, a new producer is due, see `recover`."""
        ...

    def recover(self, *, within_s: float) -> bool:
        """Make a new producer if one is due; whether the next transaction can begin."""
        ...


class PositionCommitter(Protocol):
    """The consumer thread, as the compute thread sees it."""

    def ask_membership(self) -> None:
        """Ask for a `Member` message, without waiting."""
        ...

    def rewind(self) -> None:
        """Ask for every owned partition to be read again from its committed position, without waiting: `Rewound`."""
        ...

    def commit(self, positions: Positions) -> None:
        """Ask for positions to be committed, without waiting: those of partitions given up meanwhile are left out."""
        ...
