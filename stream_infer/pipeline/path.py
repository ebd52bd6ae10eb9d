"""The path of a batch, top to bottom: cut, decoded, launched, collected, answered.

Full batches that wait go together, as a stretch: decoded, encoded and sent as one, the model called for each. While a
stretch is on the device the next one is decoded. What serves changes between two stretches, and only here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stream_infer.clock import Clock
from stream_infer.errors import Retry
from stream_infer.metrics import Metrics
from stream_infer.model import LoadedVersion, ModelSlot
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.answer import Answers
from stream_infer.pipeline.calls import CallWatch
from stream_infer.pipeline.canary import CanaryJudge
from stream_infer.pipeline.commit import NEVER, Commit
from stream_infer.pipeline.decode import BatchDecoder, KeyReader, decode
from stream_infer.pipeline.held import Held
from stream_infer.pipeline.infer import Inferred, Launched, Served, abandon, collect, launch
from stream_infer.pipeline.isolate import ModelBroken
from stream_infer.pipeline.lanes import NOW, Dealt, Lanes
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.limit import Allowed, RefusalLimit
from stream_infer.pipeline.origin import with_origins
from stream_infer.pipeline.outlet import Outlet
from stream_infer.pipeline.ports import Intake
from stream_infer.pipeline.stretch import Stretch
from stream_infer.records import Partition, Records


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
    commit: Commit


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the path, and the back-pressure that they work through."""

    max_batch_size: int
    max_queue_delay_s: float
    max_concurrent_batches: int
    non_finite: str | None
    refusals: Allowed
    queue_limit_records: int
    retry_topic: str
    intake: Intake


class BatchPath:
    """Batches on their way, which leave through `outlet`. Every method runs on the compute thread."""

    def __init__(self, steps: Steps, *, ledger: Ledger, limits: Limits, clock: Clock, metrics: Metrics) -> None:
        self._steps = steps
        self._slot = steps.slot
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._decoder = steps.decoder_for(self._slot.serving.versions)
        self._lanes = Lanes(
            self._slot.serving, max_batch_size=limits.max_batch_size, max_queue_delay_s=limits.max_queue_delay_s
        )
        self._in_flight: deque[Launched] = deque()
        self._held = Held()
        self.outlet = Outlet(
            steps.answers,
            limit=RefusalLimit(limits.refusals),
            most_records=limits.queue_limit_records,
            clock=clock,
            may_wait=self._may_wait,
            sending=self._wait_for_commit,
            sent=self._note_sent,
        )
        self._live_rows = limits.max_batch_size
        self._waited_s = 0.0
        self._stretch = Stretch(queue_limit_records=limits.queue_limit_records)
        self._canary = CanaryJudge(self._slot, clock=clock, serve=self._serve)
        self.watch = CallWatch(clock, busy=metrics.device, in_flight=self._in_flight)

    @property
    def is_calling(self) -> bool:
        """Whether a call is under way."""
        return bool(self._in_flight)

    @property
    def is_held(self) -> bool:
        """Whether a batch waits for the registry."""
        return bool(self._held)

    def due_s(self) -> float:
        """Return the monotonic time from which there is a batch to launch."""
        if self.outlet.stopped:
            return NEVER
        return min(self.outlet.due_s(), self._held.due_s() if self._held else self._lanes.due_s())

    def warm_sizes(self, version: LoadedVersion) -> Sequence[int]:
        """Return the sizes at which a version will be called, and see that what it reads is decoded from now on."""
        self._decoder = self._steps.decoder_for([version])
        return version.warm_sizes(self._limits.max_batch_size, self._live_rows)

    def serve(self, serving: Serving) -> None:
        """Let something else score from the next batch on, and what is held back as well."""
        self._serve(serving)
        self.outlet.resume()
        self._limits.intake.open()

    def _serve(self, serving: Serving, returned: Sequence[Records] = ()) -> None:
        """Deal for something else; `returned` are batches to be scored again."""
        self._decoder = self._steps.decoder_for(serving.versions)
        self._slot.swap(serving)
        self._stretch.forget()
        self.take_back(returned)

    def take_back(self, returned: Sequence[Records] = ()) -> None:
        """Let everything be dealt and scored anew that is held, for whatever reason, and what is `returned`.

        Calls under way behind answers that are held come back with them, so that nothing overtakes those.
        """
        answers, waiting = self.outlet.take_back(), self._held.take()
        behind = self._recall() if answers else []
        returned = [*answers, *returned, *behind, *([waiting.records] if waiting else [])]
        self._lanes.serve(self._slot.serving, returned=returned)

    def uses(self, version: LoadedVersion) -> bool:
        """Whether a version serves, or something still holds on to it."""
        calling = any(launched.batch.served.version is version for launched in self._in_flight)
        return calling or version in self._slot.serving.versions or self._slot.is_leased(version)

    def add(self, records: Records) -> None:
        """Queue the rows of one poll, without those that are void by now."""
        records = with_origins(self._valid(records), self._limits.retry_topic)
        self._ledger.read(records)
        self._metrics.consumed(len(records))
        self._lanes.add(records)

    def _valid(self, records: Records) -> Records:
        """Return the rows whose partitions are still owned as they were when polled; give credit for the others."""
        valid = [run for run in records.runs if self._ledger.is_valid(run)]
        if len(valid) == len(records.runs):
            return records
        kept = records.choose(valid)
        self._limits.intake.give(len(records) - len(kept), size_bytes=records.size_bytes - kept.size_bytes)
        return kept

    def advance(self, *, drain: bool) -> bool:
        """Move one batch, or one stretch, on; False when there was nothing to move."""
        if self.outlet.stopped:
            return False
        if self._clock.monotonic_s() >= self.outlet.due_s():
            self.outlet.look()
            self._end_if_stopped()
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
        dealt = self._lanes.next_batch(now_s, most_rows=self._stretch.rows, drain=drain)
        if dealt is not None:
            self._metrics.batches(len(dealt.records), of=dealt.batch_size, trigger=dealt.trigger)
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
        self._live_rows = min(len(records), dealt.batch_size)
        self._steps.commit.expect()
        self._lanes.note_call(dealt, self._clock.monotonic_s())
        with self._metrics.stage("infer"):
            served = Served(self._slot.serving, dealt.variant, dealt.number)
            launched = launch(decoded, served, batch_size=dealt.batch_size, calling=self.watch.calling, began_s=now_s)
            self._in_flight.append(launched)

    def collect_all(self) -> None:
        """Finish every call under way, and send what is cleared."""
        while self._in_flight:
            self._finish(self._in_flight.popleft())
        self.outlet.flush()

    def close_gaps(self, sources: Iterable[Partition]) -> None:
        """Finish rows that others overtook in another lane, so that a handover repeats nothing.

        What waits longest goes first, so that little but those is scored. A batch that waits for the registry is left.
        """
        sources = tuple(sources)
        while not self._held and self._ledger.has_gaps(sources) and self.advance(drain=True):
            self.collect_all()

    def drop_all(self) -> None:
        """Let everything go that is on its way."""
        dropped = self._recall()
        held = self._held.take()
        dropped += [held.records] if held else []
        dropped += self.outlet.take_back()
        for records in (*dropped, *self._lanes.take_all()):
            self._limits.intake.give(len(records), size_bytes=records.size_bytes)

    def _finish(self, launched: Launched) -> None:
        if not all(map(self._ledger.is_valid, launched.batch.records.runs)):
            # A partition was given up during the call: what is still ours is scored again, in order.
            self.take_back(self._recall(launched))
            return
        is_canary = launched.batch.served.variant is Variant.CANARY
        try:
            with self._metrics.stage("infer"), self.watch.calling():
                inferred = collect(launched, non_finite=self._limits.non_finite)
        except ModelBroken as reason:
            if is_canary:
                self._give_back(launched, str(reason))
            else:
                # Not lost should answers that are cleared break a transaction off.
                self._in_flight.appendleft(launched)
                self.outlet.flush()
                self.outlet.stop(str(reason), after=launched.batch)
                self._stop(returned=self._recall())
            return
        if is_canary and inferred.failed == inferred.given > 1:
            self._give_back(launched, f"no record of a batch of {inferred.given} could be scored")
            return
        self._waited_s = 0.0
        self.outlet.put(inferred)
        took_s = self._clock.monotonic_s() - launched.began_s - self._waited_s
        self._stretch.note(len(inferred.records), took_s=took_s)
        self._end_if_stopped()
        if is_canary and not self.outlet.stopped:
            self._canary.judge(inferred)

    def _give_back(self, launched: Launched, reason: str) -> None:
        batch = launched.batch
        self._canary.give_back(batch.served, reason, failed=batch.given, returned=self._recall(launched))

    def _end_if_stopped(self) -> None:
        if self.outlet.stopped:
            self._stop(returned=self._recall())

    def _may_wait(self) -> bool:
        """Whether a commit is under way and full batches are scored meanwhile, soon; a canary's are judged in turn."""
        is_busy = self._lanes.due_s() == NOW and not self._held
        is_quick = self._stretch.is_short and self._slot.serving.canary is None
        return is_busy and is_quick and self._steps.commit.is_under_way

    def _wait_for_commit(self) -> None:
        """Wait for a commit that is under way, which says nothing of how long a stretch takes."""
        began_s = self._clock.monotonic_s()
        self._steps.commit.finish()
        self._waited_s += self._clock.monotonic_s() - began_s

    def _note_sent(self, inferred: Inferred) -> None:
        """Note that the answers of a batch are with the producer."""
        self._limits.intake.give(len(inferred.records), size_bytes=inferred.records.size_bytes)
        self._ledger.finish(inferred.records)
        if not self._steps.commit.covers_all:
            self._metrics.confirm()
        self._steps.commit.note_progress(self._clock.monotonic_s(), call_s=self.watch.take_longest_s())

    def _stop(self, *, returned: Sequence[Records]) -> None:
        """Score nothing until something else serves; what was not answered is scored then."""
        self._limits.intake.close()
        self.take_back(returned)

    def _recall(self, *launched: Launched) -> list[Records]:
        """Give up the calls under way; return what they were for, behind what was `launched` before them."""
        given_up = [*launched, *self._in_flight]
        self._in_flight.clear()
        for each in given_up:
            with self.watch.calling():
                abandon(each)
        return [each.batch.records for each in given_up]
