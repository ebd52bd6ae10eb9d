"""Which partitions this worker owns, and since when: the consumer thread's own book.

An epoch is a number that grows with every assignment and every rewind of a partition. Records carry the epoch under
which they were polled, so that rows of an assignment that ended are recognised wherever they still are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream_infer.records import Assigned, Partition


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition is read from: an offset, or one of librdkafka's negative stand-ins for begin and end."""

    source: Partition
    offset: int
    committed: bool


class Ownership:
    """Epochs by partition. `changes` counts every assign, revoke and rewind.

    `sources` are the partitions owned now, `topics` theirs.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._last_epoch = 0
        self._owned: dict[Partition, Assigned] = {}
        self._epochs: Mapping[Partition, int] = {}
        self.sources: tuple[Partition, ...] = ()
        self.topics: frozenset[str] = frozenset()

    def epochs(self) -> Mapping[Partition, int]:
        """Return the current epochs; the mapping never changes, a later assignment makes a new one."""
        return self._epochs

    def start_of(self, source: Partition) -> int | None:
        """Return the offset from which the current epoch of `source` starts."""
        return self._owned[source].offset

    def assign(self, starts: Sequence[Start]) -> list[Assigned]:
        """Take partitions over from their start offsets, each under a new epoch."""
        begun = [self._begin(start) for start in starts]
        self._changed()
        return begun

    def revoke(self, sources: Iterable[Partition]) -> None:
        """Forget partitions: rows under their epochs are void from now on."""
        for source in sources:
            self._owned.pop(source, None)
        self._changed()

    def holds(self, source: Partition, *, epoch: int) -> bool:
        """Whether `source` is owned under exactly this epoch."""
        assigned = self._owned.get(source)
        return assigned is not None and assigned.epoch == epoch

    def _begin(self, start: Start) -> Assigned:
        self._last_epoch += 1
        offset = start.offset if start.offset >= 0 else None
        assigned = Assigned(start.source, self._last_epoch, offset, start.committed)
        self._owned[start.source] = assigned
        return assigned

    def _changed(self) -> None:
        self.changes += 1
        self._epochs = {source: assigned.epoch for source, assigned in self._owned.items()}
        self.sources = tuple(self._owned)
        self.topics = frozenset(source.topic for source in self._owned)
