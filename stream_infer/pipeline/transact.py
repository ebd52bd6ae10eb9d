"""Transact: predictions, dead letters and positions become visible together, or not at all.

A transaction begins with the first record produced and is committed after the interval. What it holds is always covered
by its positions: no record is produced whose row is done ahead of an earlier one that is not. While the commit is under
way the next batches are scored, and nothing is produced. After a rollback every row in hand is void, and every owned
partition is read again from what the broker holds as committed.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from stream_infer.clock import Clock
from stream_infer.errors import StreamInferError, Undone
from stream_infer.metrics import Metrics
from stream_infer.pipeline.commit import NEVER
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.ports import PositionCommitter, TransactionalProducer
from stream_infer.records import Partition, Positions

LOOK_AGAIN_S: Final = 0.01
LONG_CALL: Final = 0.2
"""Share of the transaction time-out beyond which a model call is too long to keep a transaction open over the next."""
ENDURED: Final = 0.5
"""Share of it after which a transaction that cannot be committed yet is rolled back, before the broker does."""
ABORT_S: Final = 5.0
ABANDON_S: Final = 2.0
RECOVER_S: Final = 0.5
AGAIN_FIRST_S: Final = 0.05
AGAIN_LAST_S: Final = 5.0
MOST_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True)
class _Begun:
    """A commit that began; `open_s` is how long its transaction was open before, None where only positions moved."""

    positions: Positions
    began_s: float
    open_s: float | None


class ExactlyOnce:
    """One transaction after the other; see `commit.Commit`. `timeout_s` is `delivery.transaction_timeout_ms`."""

    covers_all = True

    def __init__(
        self,
        ledger: Ledger,
        *,
        producer: TransactionalProducer,
        committer: PositionCommitter,
        interval_s: float,
        timeout_s: float,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._producer = producer
        self._committer = committer
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._metrics = metrics
        self._membership: object | None = None
        self._is_asked = False
        self._began_s: float | None = None
        self._open_s: float | None = None
        self._due_s = self._look_s = NEVER
        self._outcome: Future[float] | None = None
        self._begun = _Begun({}, 0.0, None)
        self._is_long = False
        self._must_rewind = False
        self._rollbacks = 0
        self._again_s = 0.0

    def due_s(self) -> float:
        """Return when the next commit is due, or can be looked at again."""
        return self._due_s if self._outcome is None else self._look_s

    @property
    def must_wait(self) -> bool:
        """Whether no call may begin before the commit: calls are so long that the transaction would not last."""
        return self._is_long and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open whose commit has not begun."""
        return self._open_s is not None

    @property
    def is_under_way(self) -> bool:
        """Whether a commit has begun that is not over."""
        return self._outcome is not None and not self._outcome.done()

    def expect(self) -> None:
        """Ask for the membership early, so that it is there when a long call is over."""
        if not self._is_asked and self._membership is None:
            self._is_asked = True
            self._committer.ask_membership()

    def look(self) -> None:
        """Look after the producer, unless it is committing."""
        if self._outcome is None:
            self._producer.look()

    def note_progress(self, now_s: float, *, call_s: float = 0.0) -> None:
        """Start the interval; after a long model call the commit does not wait for the next one."""
        if self._began_s is None:
            self._began_s = now_s
            self.expect()
        if self._open_s is None and self._outcome is None and self._producer.is_open:
            self._open_s = now_s
        self._is_long = self._is_long or call_s > LONG_CALL * self._timeout_s
        self._due_s = min(self._due_s, now_s if self._is_long else self._began_s + self._interval_s)

    def commit_if_due(self, now_s: float) -> None:
        """Begin to commit, or see whether that is over.

        While the membership is not known, or a row done ahead waits for an earlier one, look again soon.
        """
        if self._outcome is not None and now_s >= self._look_s:
            self._look_s = now_s + LOOK_AGAIN_S
            if self._outcome.done():
                self.finish()
        if self._outcome is None and now_s >= self._due_s and self._began_s is not None:
            self._begin_if_possible(now_s)

    def _begin_if_possible(self, now_s: float) -> None:
        if self._membership is None or self._ledger.has_gaps(self._ledger.sources()):
            open_s = now_s - (now_s if self._open_s is None else self._open_s)
            if open_s > ENDURED * self._timeout_s:
                what = "this worker is no member of its group" if self._membership is None else "a record waits"
                raise Undone(f"{what}, and the transaction is open for {open_s:.1f} s")
            self._due_s = now_s + LOOK_AGAIN_S
            if self._membership is None:
                self._committer.ask_membership()
            return
        self._begin(self._membership)

    def settle(self, sources: Sequence[Partition] | None, membership: object | None) -> Positions:
        """Commit everything, as the member that this worker still is; nothing is left to the consumer thread."""
        self.finish()
        if self._ledger.has_gaps(self._ledger.sources()):
            raise Undone("a record that others overtook still waits")
        if membership is not None:
            self._begin(membership)
            self.finish()
        elif self._producer.is_open:
            raise Undone("this worker is no member of its group any more")
        return {}

    def answered(self, offsets: Mapping[Partition, int], *, now_s: float) -> None:
        """Do nothing: the consumer thread commits nothing."""

    def hear_membership(self, membership: object | None, *, now_s: float) -> None:
        """Keep the membership for the next commit; None voids what was known."""
        self._membership, self._is_asked = membership, False
        if self._due_s < now_s + LOOK_AGAIN_S:
            self._due_s = now_s

    def lose(self) -> None:
        """Raise `Undone` when anything is produced: rows of partitions that are lost may be in it."""
        self._membership, self._is_asked = None, False
        self.finish()
        if self._producer.is_open:
            raise Undone("partitions were lost")

    def undo(self) -> None:
        """Roll back, and let everything be read again as soon as the next transaction can begin."""
        self._metrics.transactions_total.labels("aborted").inc()
        self._metrics.discard()
        self._reset()
        # What is scored again may take as long as it took: the next transaction is not kept open over another call.
        self._is_long = True
        self._must_rewind = True
        self._again_s = self._clock.monotonic_s() + min(AGAIN_FIRST_S * 2**self._rollbacks, AGAIN_LAST_S)
        self._rollbacks = min(self._rollbacks + 1, MOST_DOUBLINGS)
        self._producer.abort(within_s=ABORT_S)

    def abandon(self) -> None:
        """Roll back for the next owner, who would wait for the broker to do it; a commit may end as it is about to."""
        try:
            with suppress(StreamInferError):
                self.finish(within_s=ABANDON_S)
        except TimeoutError:
            # The producer is the commit's still.
            return
        with suppress(StreamInferError):
            self._producer.abort(within_s=ABANDON_S)

    def recover(self) -> None:
        """Wait a moment for a producer that works, and then ask for the rewind, once.

        Rollbacks without a commit between them are further and further apart.
        """
        if self._clock.monotonic_s() < self._again_s:
            return
        if self._must_rewind and self._producer.recover(within_s=RECOVER_S):
            self._must_rewind = False
            self._committer.rewind()

    def finish(self, *, within_s: float | None = None) -> None:
        """Wait for a commit that is under way and count it; raises as it does, or `TimeoutError`."""
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return
        try:
            took_s = outcome.result(within_s)
        finally:
            # What is raised holds this frame: together they would hold the producer until the collector comes.
            del outcome
        for source, position in self._begun.positions.items():
            self._ledger.confirm(source, position.offset)
        self._rollbacks = 0
        self._metrics.stage_seconds["commit"].add(took_s)
        self._metrics.transactions_total.labels("committed").inc()
        if self._begun.open_s is not None:
            self._metrics.transaction_seconds.observe(self._begun.open_s + took_s)
        self._metrics.confirm(ago_s=self._clock.monotonic_s() - self._begun.began_s - took_s)

    def _begin(self, membership: object) -> None:
        """Begin to commit what moved, if anything did; what is asked and finished from here on is for the next one."""
        moved = self._ledger.uncommitted()
        if moved or self._producer.is_open:
            now_s = self._clock.monotonic_s()
            self._outcome = self._producer.commit(moved, membership, within_s=self._timeout_s)
            self._begun = _Begun(moved, now_s, None if self._open_s is None else now_s - self._open_s)
            self._look_s = now_s + LOOK_AGAIN_S
            self._is_long = False
        self._reset()

    def _reset(self) -> None:
        self._began_s = self._open_s = self._membership = None
        self._is_asked = False
        self._due_s = NEVER
