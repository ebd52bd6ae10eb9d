"""Commit: positions move only after everything produced up to them is delivered."""

from collections.abc import Mapping, Sequence
from typing import Final

from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.ports import OutputProducer, PositionCommitter
from stream_infer.records import Partition, Positions

NEVER: Final = float("inf")


class AtLeastOnce:
    """Flush, then commit. What was delivered but not committed when a worker dies is answered once more.

    Times are monotonic seconds. Used by the compute thread alone.
    """

    def __init__(
        self, ledger: Ledger, *, producer: OutputProducer, committer: PositionCommitter, interval_s: float
    ) -> None:
        self._ledger = ledger
        self._producer = producer
        self._committer = committer
        self._interval_s = interval_s
        self._due_s = NEVER

    def due_s(self) -> float:
        """Return when the next commit is due; infinity when nothing moved since the last one."""
        return self._due_s

    def note_progress(self, now_s: float) -> None:
        """Start the interval at the first row that is finished after a commit."""
        self._due_s = min(self._due_s, now_s + self._interval_s)

    def commit_if_due(self, now_s: float) -> bool:
        """Deliver and commit all positions when the interval has passed."""
        if now_s < self._due_s:
            return False
        self._due_s = NEVER
        moved = self.settle(None)
        if moved:
            self._committer.commit(moved)
        return bool(moved)

    def settle(self, sources: Sequence[Partition] | None) -> Positions:
        """Wait until everything produced is delivered; return the positions of `sources` (None: all) to commit."""
        moved = self._ledger.uncommitted(sources)
        if moved:
            self._producer.flush()
        return moved

    def answered(self, offsets: Mapping[Partition, int], *, now_s: float) -> None:
        """Note what the broker confirmed; what it refused is asked for again after the interval."""
        for source, offset in offsets.items():
            self._ledger.confirm(source, offset)
        if self._ledger.uncommitted():
            self.note_progress(now_s)
