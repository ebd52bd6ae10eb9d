"""The path of a batch, top to bottom: arrived, cut, decoded, launched, collected, answered, committed.

One thread runs all of it, because with small models the hops between threads cost more than they hide. While a batch
is on the device the next one is decoded, up to `max_concurrent_batches`. What serves changes between two batches, and
only here.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stream_infer.clock import Clock
from stream_infer.errors import Retry, Stop
from stream_infer.metrics import Metrics
from stream_infer.model import LoadedVersion, ModelSlot
from stream_infer.model.serving import Guard, Serving, Variant
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.answer import Answers
from stream_infer.pipeline.calls import CallWatch
from stream_infer.pipeline.commit import NEVER, AtLeastOnce
from stream_infer.pipeline.decode import BatchDecoder, KeyReader, decode
from stream_infer.pipeline.held import Held
from stream_infer.pipeline.infer import Inferred, Launched, Served, abandon, collect, launch
from stream_infer.pipeline.isolate import ModelBroken
from stream_infer.pipeline.lanes import Dealt, Lanes
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.standby import Standby
from stream_infer.records import Partition, Records

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of the path, ready to use.

    `decoder_for` returns a decoder of the fields that these versions read, and all that it was asked for before; it
    raises `Stop` for a field that the schema does not have.
    """

    decoder_for: Callable[[Sequence[LoadedVersion]], BatchDecoder]
    keys: Mapping[str, KeyReader]
    slot: ModelSlot
    answers: Answers
    commit: AtLeastOnce


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the path. `give` returns credit: records and bytes that left the worker."""

    max_batch_size: int
    max_queue_delay_s: float
    max_concurrent_batches: int
    non_finite: str | None
    give: Callable[[int, int], None]


class Scorer:
    """Turns what the inbox tells into predictions and positions. Every method runs on the compute thread."""

    def __init__(
        self, steps: Steps, *, ledger: Ledger, inbox: told.Inbox, limits: Limits, clock: Clock, metrics: Metrics
    ) -> None:
        self._steps = steps
        self._slot = steps.slot
        self._ledger = ledger
        self._inbox = inbox
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._watch = CallWatch(clock)
        self._standby = Standby(self._watch)
        self._decoder = steps.decoder_for(self._slot.serving.versions)
        self._lanes = Lanes(
            self._slot.serving, max_batch_size=limits.max_batch_size, max_queue_delay_s=limits.max_queue_delay_s
        )
        self._in_flight: deque[Launched] = deque()
        self._held = Held()
        self._expected = 0
        self._live_rows = limits.max_batch_size
        self.ended = False

    @property
    def calling_since_s(self) -> float | None:
        """Monotonic time at which a model call began that is not over, None between calls; any thread may read it."""
        return self._watch.calling_since_s

    def turn(self) -> None:
        """Hear everything that was told, then move at most one batch on, then commit when it is due.

        What versions on standby need is done after that, one call a turn, so that it never waits before a batch.
        """
        message = self._inbox.get(self._wait_s())
        while message is not None and not self.ended:
            self._hear(message)
            message = self._inbox.get(0)
        if self.ended:
            return
        self._advance(drain=False)
        self._standby.call_once()
        self._standby.release_unused(self._is_used)
        self._steps.commit.commit_if_due(self._clock.monotonic_s())

    def _wait_s(self) -> float | None:
        """Return how long nothing needs to be done; None when only a message can change that."""
        standby_s = self._standby.wait_s()
        if self._in_flight or not standby_s:
            return 0.0
        due_s = self._held.due_s() if self._held else self._lanes.due_s()
        due_s = min(due_s, self._steps.commit.due_s())
        wait_s = NEVER if due_s == NEVER else max(0.0, due_s - self._clock.monotonic_s())
        wait_s = min(wait_s, standby_s)
        return None if wait_s == NEVER else wait_s

    def _hear(self, message: told.Message) -> None:
        match message:
            case told.Arrived():
                self._arrive(message)
            case told.Begin(assigned):
                self._ledger.assign(assigned)
                self._steps.commit.note_progress(self._clock.monotonic_s())
            case told.Forget(sources):
                self._ledger.forget(sources)
            case told.Settle():
                self._settle(message)
            case told.Drain():
                self._drain(message)
            case told.Handed(source, epoch, offsets):
                self._ledger.deliver(source, epoch=epoch, offsets=offsets)
            case told.Acknowledged(source, offset):
                self._ledger.acknowledge(source, offset)
                self._steps.commit.note_progress(self._clock.monotonic_s())
            case told.CommitAnswered(offsets):
                self._steps.commit.answered(offsets, now_s=self._clock.monotonic_s())
            case told.Warm() | told.Serve() | told.Release():
                self._steer(message)

    def _steer(self, request: told.Warm | told.Serve | told.Release) -> None:
        """Do, or begin, what the rollout thread asks; what cannot be done is refused and changes nothing."""
        try:
            match request:
                case told.Warm(version):
                    self._decoder = self._steps.decoder_for([version])
                    self._standby.warm(request, version.warm_sizes(self._limits.max_batch_size, self._live_rows))
                case told.Serve(serving):
                    self._serve(serving)
                    told.reply(request.answer, None)
                case told.Release():
                    self._standby.release(request)
        except Stop as reason:
            told.refuse(request.answer, reason)

    def _serve(self, serving: Serving, *, returned: Sequence[Records] = ()) -> None:
        """Let something else score from the next batch on; `returned` are batches to be scored again."""
        self._decoder = self._steps.decoder_for(serving.versions)
        self._slot.swap(serving)
        held = self._held.take()
        self._lanes.serve(serving, returned=[*returned, *([held.records] if held else [])])

    def _is_used(self, version: LoadedVersion) -> bool:
        calling = any(launched.batch.served.version is version for launched in self._in_flight)
        return calling or version in self._slot.serving.versions or self._slot.is_leased(version)

    def _arrive(self, arrived: told.Arrived) -> None:
        if arrived.sequence != self._expected:
            message = f"poll {self._expected} never reached the model, {arrived.sequence} did: nothing was committed"
            raise Stop(message)
        self._expected += 1
        records = self._valid(arrived.records)
        self._ledger.read(records)
        self._metrics.consumed(len(records))
        self._lanes.add(records)

    def _valid(self, records: Records) -> Records:
        """Return the rows whose partitions are still owned as they were when polled; give credit for the others."""
        valid = [run for run in records.runs if self._ledger.is_valid(run)]
        if len(valid) == len(records.runs):
            return records
        kept = records.choose(valid)
        self._limits.give(len(records) - len(kept), records.size_bytes - kept.size_bytes)
        return kept

    def _advance(self, *, drain: bool) -> bool:
        """Move one batch on; False when there was nothing to move."""
        now_s = self._clock.monotonic_s()
        dealt = self._next(now_s, drain=drain)
        if dealt is not None:
            self._launch(dealt, now_s)
        moved = dealt is not None or bool(self._in_flight)
        while self._in_flight and self._must_collect(idle=dealt is None):
            self._finish(self._in_flight.popleft())
        return moved

    def _must_collect(self, *, idle: bool) -> bool:
        return idle or self._in_flight[0].is_done() or len(self._in_flight) >= self._limits.max_concurrent_batches

    def _next(self, now_s: float, *, drain: bool) -> Dealt | None:
        if self._held:
            return self._held.take() if drain or now_s >= self._held.due_s() else None
        dealt = self._lanes.next_batch(now_s, drain=drain)
        if dealt is not None:
            self._metrics.batch(len(dealt.records), trigger=dealt.trigger)
        return dealt

    def _launch(self, dealt: Dealt, now_s: float) -> None:
        records = self._valid(dealt.records)
        if not len(records):
            return
        try:
            with self._metrics.stage("decode"):
                decoded = decode(records, self._decoder, self._steps.keys)
        except Retry as reason:
            self._held.hold(replace(dealt, records=records), reason, now_s=now_s)
            return
        self._held.relax()
        self._live_rows = len(records)
        with self._metrics.stage("infer"), self._watch.calling():
            self._in_flight.append(launch(decoded, Served(self._slot.serving, dealt.variant)))

    def _collect_all(self) -> None:
        while self._in_flight:
            self._finish(self._in_flight.popleft())

    def _finish(self, launched: Launched) -> None:
        try:
            with self._metrics.stage("infer"), self._watch.calling():
                inferred = collect(launched, non_finite=self._limits.non_finite)
        except ModelBroken as reason:
            if launched.batch.served.variant is Variant.STABLE:
                raise
            self._give_back(launched, reason)
            return
        self._steps.answers.send(inferred)
        self._ledger.finish(inferred.records)
        self._limits.give(len(inferred.records), inferred.records.size_bytes)
        self._steps.commit.note_progress(self._clock.monotonic_s())
        if inferred.served.variant is Variant.CANARY:
            self._judge(inferred)

    def _judge(self, inferred: Inferred) -> None:
        """Tell the canary's guard of a batch, and stop the canary when the guard says so."""
        guard = self._guard(inferred.served)
        reason = guard and guard.note(
            self._clock.monotonic_s(), records=inferred.given, errors=inferred.failed, non_finite=inferred.non_finite
        )
        if reason:
            self._stop_canary(inferred.served, reason)

    def _guard(self, served: Served) -> Guard | None:
        """Return who judges a batch's version: nobody when it is no canary any more."""
        serving = self._slot.serving
        return serving.guard if serving.canary is served.version else None

    def _give_back(self, launched: Launched, reason: ModelBroken) -> None:
        """Let stable score what the canary cannot, and everything behind it, so that the order of each key is kept."""
        batches = [launched.batch, *(each.batch for each in self._in_flight)]
        while self._in_flight:
            with self._watch.calling():
                abandon(self._in_flight.popleft())
        served, failed = launched.batch.served, launched.batch.given
        guard = self._guard(served)
        if guard and not guard.note(self._clock.monotonic_s(), records=failed, errors=failed, non_finite=0):
            guard.fail(str(reason))
        self._stop_canary(served, str(reason), returned=[batch.records for batch in batches])

    def _stop_canary(self, served: Served, reason: str, *, returned: Sequence[Records] = ()) -> None:
        """Let stable alone serve, under the same revision; where the canary has gone already, deal `returned`."""
        serving = self._slot.serving
        if serving.canary is served.version:
            log.error("canary %s is stopped, stable scores its share: %s", served.version.version, reason)
            serving = serving.stable_alone()
        self._serve(serving, returned=returned)

    def _settle(self, request: told.Settle) -> None:
        self._collect_all()
        self._close_gaps(request.sources)
        positions = self._steps.commit.settle(request.sources)
        self._ledger.forget(request.sources)
        told.reply(request.answer, positions)

    def _close_gaps(self, sources: Sequence[Partition]) -> None:
        """Finish rows that others overtook in another lane, so that a handover repeats nothing.

        What waits longest goes first, so that little but those is scored. A batch that waits for the registry is left.
        """
        while not self._held and self._ledger.has_gaps(sources) and self._advance(drain=True):
            self._collect_all()

    def _drain(self, request: told.Drain) -> None:
        """Finish what is in hand; what still waits for the registry is left to whoever starts next."""
        while self._advance(drain=True) and not self._held:
            continue
        self._collect_all()
        told.reply(request.answer, self._steps.commit.settle(None))
        self.ended = True
