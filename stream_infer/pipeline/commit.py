"""Commit: positions move only after everything produced up to them is delivered. `transact` has the other way."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from stream_infer.metrics import Metrics
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.ports import OutputProducer, PositionCommitter
from stream_infer.records import Partition, Positions

NEVER: Final = float("inf")


class Commit(Protocol):
    """How positions move. Times are monotonic seconds; used by the compute thread alone.

    `covers_all`: what is produced must be covered by positions at every commit, so no row may be done ahead of others.
    """

    covers_all: bool

    @property
    def must_wait(self) -> bool:
        """Whether no model call may begin before the next commit."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open whose commit has not begun: the broker keeps it for a limited time."""
        ...

    @property
    def is_under_way(self) -> bool:
        """Whether a commit has begun that is not over, so that `finish` would wait."""
        ...

    def finish(self) -> None:
        """Wait for a commit that is under way, as must be done before anything more is produced; raises as it does."""
        ...

    def due_s(self) -> float:
        """Return when the next commit is due, or one that is under way is looked at; infinity without either."""
        ...

    def expect(self) -> None:
        """Note that a model call begins, after which there will be something to commit."""
        ...

    def look(self) -> None:
        """Do what the producer needs every few seconds; raises `Undone` when what was produced must be once more."""
        ...

    def note_progress(self, now_s: float, *, call_s: float = 0.0) -> None:
        """Note that something is to be committed; `call_s` is how long the longest model call for it took."""
        ...

    def commit_if_due(self, now_s: float) -> None:
        """Commit, or begin to, when it is due and possible."""
        ...

    def settle(self, sources: Sequence[Partition] | None, membership: object | None) -> Positions:
        """Deliver everything produced; return the positions of `sources` (None: all) that are still to be committed."""
        ...

    def answered(self, offsets: Mapping[Partition, int], *, now_s: float) -> None:
        """Note what the broker took of positions that the consumer thread committed."""
        ...

    def hear_membership(self, membership: object | None, *, now_s: float) -> None:
        """Take the answer to `PositionCommitter.ask_membership`."""
        ...

    def lose(self) -> None:
        """Note that partitions were lost; raises `Undone` when what is produced must be rolled back for it."""
        ...

    def undo(self) -> None:
        """Roll back what is produced and not committed."""
        ...

    def abandon(self) -> None:
        """Roll back, as far as that is done soon, because the worker ends: nobody else should have to wait for it."""
        ...

    def recover(self) -> None:
        """After `undo`: see that the next transaction can begin, then ask once for partitions to be read again."""
        ...


class AtLeastOnce:
    """Flush, then commit. What was delivered but not committed when a worker dies is answered once more.

    See `Commit`. What was delivered is never undone; when the producer is lost, all since the last commit is repeated.
    """

    covers_all = False
    must_wait = False
    is_open = False
    is_under_way = False

    def __init__(
        self,
        ledger: Ledger,
        *,
        producer: OutputProducer,
        committer: PositionCommitter,
        interval_s: float,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._producer = producer
        self._committer = committer
        self._interval_s = interval_s
        self._metrics = metrics
        self._due_s = NEVER
        self._must_rewind = False

    def due_s(self) -> float:
        """Return when the next commit is due; infinity when nothing moved since the last one."""
        return self._due_s

    def finish(self) -> None:
        """Do nothing: positions are committed beside what is produced."""

    def note_progress(self, now_s: float, *, call_s: float = 0.0) -> None:
        """Start the interval at the first row that is finished after a commit."""
        self._due_s = min(self._due_s, now_s + self._interval_s)

    def commit_if_due(self, now_s: float) -> None:
        """Deliver and commit all positions when the interval has passed."""
        if now_s < self._due_s:
            return
        self._due_s = NEVER
        moved = self.settle(None)
        if moved:
            self._committer.commit(moved)

    def settle(self, sources: Sequence[Partition] | None, membership: object | None = None) -> Positions:
        """Wait until everything produced is delivered; return the positions of `sources` (None: all) to commit."""
        moved = self._ledger.uncommitted(sources)
        if moved:
            with self._metrics.stage("commit"):
                self._producer.flush()
        return moved

    def answered(self, offsets: Mapping[Partition, int], *, now_s: float) -> None:
        """Note what the broker confirmed; what it refused is asked for again after the interval."""
        for source, offset in offsets.items():
            self._ledger.confirm(source, offset)
        if self._ledger.uncommitted():
            self.note_progress(now_s)

    def expect(self) -> None:
        """Do nothing: a commit needs nothing from elsewhere."""

    def look(self) -> None:
        """Look after the producer."""
        self._producer.look()

    def hear_membership(self, membership: object | None, *, now_s: float) -> None:
        """Do nothing: none is asked for."""

    def lose(self) -> None:
        """Do nothing: who owns the partitions now repeats what was delivered from them."""

    def undo(self) -> None:
        """Leave what was delivered, and let everything be read again."""
        self._metrics.discard()
        self._due_s = NEVER
        self._must_rewind = True

    def abandon(self) -> None:
        """Do nothing: what was delivered stays."""

    def recover(self) -> None:
        """Ask for the rewind, once."""
        if self._must_rewind:
            self._must_rewind = False
            self._committer.rewind()
