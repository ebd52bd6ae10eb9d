"""Raw Kafka records as columns: the value that travels from the transport through the pipeline.

A batch is a set of columns and never a list of record objects, so that a step costs its price once a batch.
Positions are kept as runs: neighbouring rows that came from one partition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Headers = Sequence[tuple[str, bytes | None]]


class Partition(NamedTuple):
    """A topic and a partition number."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Place(NamedTuple):
    """Where one record lies."""

    source: Partition
    offset: int


@dataclass(frozen=True, slots=True)
class Run:
    """Rows `start` to `stop - 1` of a batch, all from one partition, offsets ascending.

    `epoch` says under which assignment of the partition they were read: rows of an epoch that ended are void.
    """

    source: Partition
    epoch: int
    start: int
    stop: int

    def shift(self, by: int) -> "Run":
        """Return the same run with its rows moved by `by`."""
        return replace(self, start=self.start + by, stop=self.stop + by)

    def clip(self, start: int, stop: int) -> "Run":
        """Return the part of the run inside rows `start` to `stop - 1`, in the same row numbers."""
        return replace(self, start=max(self.start, start), stop=min(self.stop, stop))

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Assigned:
    """One partition that this worker may score from `offset` on (None: wherever the reset policy starts).

    `committed` says whether the broker holds that offset as the group's position.
    """

    source: Partition
    epoch: int
    offset: int | None
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """How a partition stands: the next offset to score, the next to read, and whether rows of it are in hand.

    `oldest_ms` is the timestamp of the oldest row in hand, None without one; milliseconds since the epoch.
    """

    done: int | None
    read: int | None
    in_hand: bool
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class End:
    """How far a partition reaches: its high watermark, and whether all below that was fetched and handed over.

    What then lies between the last record read and the watermark is nobody's to score, as markers of transactions are.
    """

    high: int
    is_drained: bool

    def lag(self, mark: Mark) -> int | None:
        """Return how many offsets are to be scored yet; None where the position is not known."""
        if mark.done is None:
            return None
        end = self.high if mark.read is None or not self.is_drained else min(self.high, mark.read)
        return max(0, end - mark.done)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition is done under one epoch: `offset` is the next one to score, as Kafka commits it."""

    epoch: int
    offset: int


Positions = Mapping[Partition, Position]


@dataclass(frozen=True, slots=True)
class Records:
    """Raw records in arrival order, one row each; all columns have the same length.

    `offsets` is int64; `timestamps_ms` are Kafka record timestamps in milliseconds since the epoch, int64, -1 where the
    record has none; `headers` is None when no row has any. `arrived_s` is the monotonic time at which the oldest row
    reached this process, or up to 10 ms before: what is polled late may have been there. `origins` is None when every
    row is its own, and holds None for single rows that are. `sizes` are the bytes of each row's key, value and headers,
    None where nobody has counted them yet.
    """

    runs: tuple[Run, ...]
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers | None] | None
    arrived_s: float
    origins: list[Place | None] | None = None
    sizes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size_bytes(self) -> int:
        """Bytes of all keys, values and headers."""
        sizes = self.sizes if self.sizes is not None else count_bytes(self.keys, self.values, self.headers)
        return int(sizes.sum())

    def slice(self, start: int, stop: int) -> "Records":
        """Return rows `start` to `stop - 1`, renumbered from 0."""
        if stop - start == len(self):
            return self
        kept = (run.clip(start, stop) for run in self.runs if run.start < stop and run.stop > start)
        return Records(
            runs=tuple(run.shift(-start) for run in kept),
            offsets=self.offsets[start:stop],
            timestamps_ms=self.timestamps_ms[start:stop],
            keys=self.keys[start:stop],
            values=self.values[start:stop],
            headers=self.headers[start:stop] if self.headers else None,
            arrived_s=self.arrived_s,
            origins=self.origins[start:stop] if self.origins else None,
            sizes=None if self.sizes is None else self.sizes[start:stop],
        )

    def choose(self, runs: Sequence[Run]) -> "Records":
        """Return the rows of these runs only, renumbered, in their order."""
        rows = [row for run in runs for row in range(run.start, run.stop)]
        return Records(
            runs=tuple(_renumbered(runs)),
            offsets=self.offsets[rows],
            timestamps_ms=self.timestamps_ms[rows],
            keys=[self.keys[row] for row in rows],
            values=[self.values[row] for row in rows],
            headers=[self.headers[row] for row in rows] if self.headers else None,
            arrived_s=self.arrived_s,
            origins=[self.origins[row] for row in rows] if self.origins else None,
            sizes=None if self.sizes is None else self.sizes[rows],
        )

    def take(self, rows: NDArray[np.intp]) -> "Records":
        """Return these rows, renumbered, in the order given; neighbours of one partition and epoch are one run.

        The order must leave the offsets of a partition ascending.
        """
        numbers = self.run_numbers()[rows]
        chosen = rows.tolist()
        return Records(
            runs=tuple(_joined(self.runs, numbers)),
            offsets=self.offsets[rows],
            timestamps_ms=self.timestamps_ms[rows],
            keys=[self.keys[row] for row in chosen],
            values=[self.values[row] for row in chosen],
            headers=[self.headers[row] for row in chosen] if self.headers else None,
            arrived_s=self.arrived_s,
            origins=[self.origins[row] for row in chosen] if self.origins else None,
            sizes=None if self.sizes is None else self.sizes[rows],
        )

    def run_numbers(self) -> NDArray[np.intp]:
        """Return for each row the index of its run in `runs`."""
        return np.repeat(np.arange(len(self.runs)), np.array([len(run) for run in self.runs], dtype=np.intp))

    def position(self, row: int) -> Place:
        """Return where one row was read."""
        run = next(run for run in self.runs if run.start <= row < run.stop)
        return Place(run.source, int(self.offsets[row]))

    def origin(self, row: int) -> Place:
        """Return whose answer the answer of one row is."""
        origin = self.origins[row] if self.origins else None
        return origin or self.position(row)


def count_bytes(
    keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers | None] | None
) -> NDArray[np.int64]:
    """Return for each row how many bytes its key, value and headers have."""
    sizes = _lengths(keys) + _lengths(values)
    if headers:
        sizes += np.array([_header_bytes(each) if each else 0 for each in headers], dtype=np.int64)
    return sizes


def _lengths(column: Sequence[bytes | None]) -> NDArray[np.int64]:
    try:
        # The usual case, in C: every row has one.
        return np.fromiter(map(len, column), np.int64, len(column))  # type: ignore[arg-type]
    except TypeError:
        return np.array([len(each or b"") for each in column], dtype=np.int64)


def _concat_sizes(columns: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def _header_bytes(headers: Headers) -> int:
    return sum(len(name) + len(value or b"") for name, value in headers)


def concat(parts: Sequence[Records]) -> Records:
    """Return the rows of all `parts`, in their order; `arrived_s` is that of the oldest."""
    if len(parts) == 1:
        return parts[0]
    return Records(
        runs=tuple(_shifted_runs(parts)),
        offsets=np.concatenate([part.offsets for part in parts]),
        timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]),
        keys=_chain(part.keys for part in parts),
        values=_chain(part.values for part in parts),
        headers=_concat(parts, [part.headers for part in parts]),
        arrived_s=min(part.arrived_s for part in parts),
        origins=_concat(parts, [part.origins for part in parts]),
        sizes=_concat_sizes([part.sizes for part in parts]),
    )


def _renumbered(runs: Iterable[Run]) -> Iterator[Run]:
    start = 0
    for run in runs:
        yield run.shift(start - run.start)
        start += len(run)


def _joined(runs: Sequence[Run], numbers: NDArray[np.intp]) -> Iterator[Run]:
    """Return the runs of rows that lay in `runs[numbers[row]]` before."""
    first_of: dict[tuple[Partition, int], int] = {}
    same = [first_of.setdefault((run.source, run.epoch), number) for number, run in enumerate(runs)]
    origins = np.array(same, dtype=np.intp)[numbers]
    edges = [0, *(np.flatnonzero(np.diff(origins)) + 1).tolist(), len(origins)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield replace(runs[int(origins[start])], start=start, stop=stop)


def _shifted_runs(parts: Sequence[Records]) -> Iterator[Run]:
    base = 0
    for part in parts:
        yield from (run.shift(base) for run in part.runs)
        base += len(part)


def _concat(parts: Sequence[Records], columns: Sequence[list[T | None] | None]) -> list[T | None] | None:
    """Return a column that some parts may lack, None when all do."""
    if all(column is None for column in columns):
        return None
    return _chain(column or [None] * len(part) for part, column in zip(parts, columns, strict=True))


def _chain(lists: Iterable[list[T]]) -> list[T]:
    whole: list[T] = []
    for part in lists:
        whole += part
    return whole
