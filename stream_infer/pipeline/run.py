"""The compute thread's turns: hear what was told, move a batch on (`path`), commit when it is due.

One thread runs all of it, because with small models the hops between threads cost more than they hide.
"""

import logging
from collections.abc import Sequence
from typing import Final

from stream_infer.clock import Clock
from stream_infer.errors import Stop, Undone
from stream_infer.logs import Repeated
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.commit import NEVER, Commit
from stream_infer.pipeline.desk import Desk
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.path import BatchPath
from stream_infer.pipeline.ports import Intake
from stream_infer.pipeline.standby import Standby
from stream_infer.records import Assigned, Mark, Partition, Positions

repeated = Repeated(logging.getLogger(__name__))

START_OVER_S: Final = 0.05
"""Between two looks whether the next transaction can begin."""
LOOK_S: Final = 1.0
"""Between two looks after the producer."""


class Scorer:
    """Turns what the inbox tells into predictions and positions. Every method runs on the compute thread."""

    def __init__(
        self,
        path: BatchPath,
        *,
        ledger: Ledger,
        inbox: told.Inbox,
        intake: Intake,
        commit: Commit,
        clock: Clock,
    ) -> None:
        self._path = path
        self._ledger = ledger
        self._inbox = inbox
        self._intake = intake
        self._commit = commit
        self._clock = clock
        self._standby = Standby(path.watch)
        self._desk = Desk(path.watch)
        self._expected = self._polls = 0
        self._starts_over = False
        self._look_at_s = 0.0
        self.ended = False

    @property
    def calling_since_s(self) -> float | None:
        """Monotonic time at which a model call began that is not over, None between calls; any thread may read it."""
        return self._path.watch.calling_since_s

    @property
    def stopped(self) -> str | None:
        """Why nothing is scored until something else serves; None while records are. Any thread may read it."""
        return self._path.outlet.stopped

    @property
    def held_records(self) -> int:
        """Records whose answers are held back. Any thread may read it."""
        return self._path.outlet.held_records

    def marks(self) -> dict[Partition, Mark]:
        """Return how every partition stands. Any thread may ask."""
        return self._ledger.marks()

    def turn(self) -> None:
        """Hear everything that was told, then move at most one batch on, then commit when it is due.

        What is asked beside the stream, and what versions on standby need, is done after that, one call of each a turn,
        so that it never waits before a batch.
        """
        try:
            self._turn()
        except Undone as reason:
            self._start_over(reason)
        except Stop:
            self._commit.abandon()
            raise

    def _give_turn(self) -> None:
        """Let the consumer thread poll again: what it polled has left, waits for a commit or is not due."""
        polls, self._polls = self._polls, 0
        if polls:
            self._intake.give_turn(polls)

    def _turn(self) -> None:
        # Before anything is taken out, because what is taken out is lost when this raises.
        self._look_after_producer()
        message = self._inbox.get(min(self._wait_s(), LOOK_S))
        while message is not None and not self.ended:
            self._hear(message)
            message = self._inbox.get(0)
        if self.ended:
            return
        if self._starts_over:
            self._commit.recover()
        else:
            self._advance()
        if not self._path.is_calling:
            self._give_turn()
        self._desk.answer_one()
        if self._starts_over or not self._commit.covers_all:
            self._standby.call_once()
        self._standby.release_unused(self._path.uses)

    def _advance(self) -> None:
        """Move a batch on; what versions on standby need is done between two transactions, however soon they follow.

        A first call of a version may take longer than the broker keeps a transaction open.
        """
        self._commit_if_due()
        if self._commit.must_wait:
            return
        if self._commit.covers_all and not self._commit.is_open and not self._path.outlet.is_cleared:
            self._standby.call_once()
        self._path.advance(drain=False)
        self._commit_if_due()

    def _look_after_producer(self) -> None:
        """Look after the producer, unless one is waited for already."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._look_at_s and not self._starts_over:
            self._look_at_s = now_s + LOOK_S
            self._commit.look()

    def _wait_s(self) -> float:
        """Return how long nothing needs to be done; infinity when only a message can change that."""
        standby_s = NEVER if self._commit.is_open else self._standby.wait_s()
        if not min(standby_s, self._desk.wait_s()) or (self._path.is_calling and not self._commit.must_wait):
            return 0.0
        if self._starts_over:
            return START_OVER_S
        due_s = self._commit.due_s() if self._commit.must_wait else min(self._path.due_s(), self._commit.due_s())
        wait_s = NEVER if due_s == NEVER else max(0.0, due_s - self._clock.monotonic_s())
        return min(wait_s, standby_s)

    def _commit_if_due(self) -> None:
        if self._clock.monotonic_s() < self._commit.due_s():
            return
        if self._commit.covers_all:
            self._path.close_gaps(self._ledger.sources())
        self._commit.commit_if_due(self._clock.monotonic_s())

    def _start_over(self, reason: Undone) -> None:
        """Drop everything in hand: all of it is read again from the committed positions."""
        repeated.warning("what was scored since the last commit is scored again: %s", reason)
        self._path.drop_all()
        self._ledger.forget(self._ledger.sources())
        self._starts_over = True
        self._commit.undo()

    def _hear(self, message: told.Message) -> None:
        match message:
            case told.Arrived():
                self._arrive(message)
            case told.Begin() | told.Rewound() | told.Forget() | told.Member():
                self._hear_ownership(message)
            case told.Settle():
                self._settle(message)
            case told.Drain():
                self._drain(message)
            case told.Handed(source, epoch, offsets):
                self._ledger.deliver(source, epoch=epoch, offsets=offsets)
            case told.Acknowledged(source, offset):
                self._ledger.acknowledge(source, offset)
                self._commit.note_progress(self._clock.monotonic_s())
            case told.CommitAnswered(offsets):
                self._commit.answered(offsets, now_s=self._clock.monotonic_s())
            case told.Warm() | told.Serve() | told.Release():
                self._steer(message)
            case told.Score():
                self._desk.ask(message)

    def _hear_ownership(self, message: told.Begin | told.Rewound | told.Forget | told.Member) -> None:
        match message:
            case told.Begin(assigned):
                self._begin(assigned)
            case told.Rewound(assigned):
                self._starts_over = False
                self._begin(assigned)
            case told.Forget(sources):
                self._ledger.forget(sources)
                self._path.take_back()
                self._commit.lose()
            case told.Member(membership):
                self._commit.hear_membership(membership, now_s=self._clock.monotonic_s())

    def _begin(self, assigned: Sequence[Assigned]) -> None:
        """Take partitions over; until the rewind that follows a rollback that says of all of them where they start."""
        if self._starts_over:
            return
        now_s = self._clock.monotonic_s()
        are_again = not {one.source for one in assigned}.isdisjoint(self._ledger.sources())
        self._ledger.assign(assigned)
        if are_again:
            self._path.take_back()
        # A rebalance is over, and what was known of the membership with it.
        self._commit.hear_membership(None, now_s=now_s)
        self._commit.note_progress(now_s)

    def _arrive(self, arrived: told.Arrived) -> None:
        if arrived.sequence != self._expected:
            message = f"poll {self._expected} never reached the model, {arrived.sequence} did: nothing was committed"
            raise Stop(message)
        self._expected += 1
        self._polls += 1
        self._path.add(arrived.records)

    def _steer(self, request: told.Warm | told.Serve | told.Release) -> None:
        """Do, or begin, what the rollout thread asks; what cannot be done is refused and changes nothing."""
        try:
            match request:
                case told.Warm(version):
                    self._standby.warm(request, self._path.warm_sizes(version))
                case told.Serve(serving):
                    self._path.serve(serving)
                    told.reply(request.answer, None)
                case told.Release():
                    self._standby.release(request)
        except Stop as reason:
            told.refuse(request.answer, reason)

    def _settle(self, request: told.Settle) -> None:
        positions: Positions = {}
        try:
            self._path.collect_all()
            self._path.close_gaps(self._ledger.sources() if self._commit.covers_all else request.sources)
            positions = self._commit.settle(request.sources, request.membership)
        except Undone as reason:
            self._start_over(reason)
        self._ledger.forget(request.sources)
        self._path.take_back()
        told.reply(request.answer, positions)

    def _drain(self, request: told.Drain) -> None:
        """Finish what is in hand; what still waits for the registry is left to whoever starts next."""
        positions: Positions = {}
        try:
            while self._path.advance(drain=True) and not self._path.is_held:
                self._commit_on_the_way(request.membership)
            self._path.collect_all()
            positions = self._commit.settle(None, request.membership)
        except Undone as reason:
            self._start_over(reason)
            if not self._commit.covers_all:
                told.refuse(request.answer, reason)
            # Rolled back is an end too: whoever owns the partitions next scores it again.
        told.reply(request.answer, positions)
        self.ended = True

    def _commit_on_the_way(self, membership: object | None) -> None:
        """Commit during a drain, which may take longer than a transaction lasts."""
        is_due = self._commit.covers_all and self._clock.monotonic_s() >= self._commit.due_s()
        if is_due and not self._ledger.has_gaps(self._ledger.sources()):
            self._commit.settle(None, membership)
