"""The path of a batch, top to bottom: arrived, cut, decoded, launched, collected, encoded, produced, committed.

One thread runs all of it, because with small models the hops between threads cost more than they hide. While a batch
is on the device the next one is decoded, up to `max_concurrent_batches`.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_infer.clock import Clock
from stream_infer.errors import Reject, Retry, Stop
from stream_infer.metrics import Metrics
from stream_infer.model import ModelSlot
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.batch import Batcher
from stream_infer.pipeline.commit import NEVER, AtLeastOnce
from stream_infer.pipeline.decode import BatchDecoder, KeyReader, decode
from stream_infer.pipeline.encode import PredictionEncoder, Served
from stream_infer.pipeline.infer import Inferred, Launched, collect, launch
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters
from stream_infer.records import Records

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of the path, ready to use."""

    decoder: BatchDecoder
    keys: Mapping[str, KeyReader]
    slot: ModelSlot
    encoder: PredictionEncoder
    predictions: Predictions
    dead_letters: DeadLetters
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
    """Turns what the inbox tells into predictions and positions. Every method runs on the compute thread.

    `calling_since_s` is the monotonic time at which a model call began that is not over, None between calls; any
    thread may read it.
    """

    def __init__(
        self, steps: Steps, *, ledger: Ledger, inbox: told.Inbox, limits: Limits, clock: Clock, metrics: Metrics
    ) -> None:
        self._steps = steps
        self._ledger = ledger
        self._inbox = inbox
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._batcher = Batcher(max_queue_delay_s=limits.max_queue_delay_s)
        self._in_flight: deque[Launched] = deque()
        self._held: Records | None = None
        self._retry_s = RETRY_FIRST_S
        self._retry_at_s = 0.0
        self._expected = 0
        self._served = Served(revision=0, variant="stable")
        self.ended = False
        self.calling_since_s: float | None = None

    def turn(self) -> None:
        """Hear everything that was told, then move at most one batch on, then commit when it is due."""
        message = self._inbox.get(self._wait_s())
        while message is not None and not self.ended:
            self._hear(message)
            message = self._inbox.get(0)
        self._advance(drain=False)
        self._steps.commit.commit_if_due(self._clock.monotonic_s())

    def _wait_s(self) -> float | None:
        """Return how long nothing needs to be done; None when only a message can change that."""
        if self._in_flight:
            return 0.0
        if self._held is not None:
            due_s = self._retry_at_s
        elif len(self._batcher) >= self._max_batch_size():
            return 0.0
        else:
            due_s = self._batcher.due_s() or NEVER
        due_s = min(due_s, self._steps.commit.due_s())
        return None if due_s == NEVER else max(0.0, due_s - self._clock.monotonic_s())

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

    def _arrive(self, arrived: told.Arrived) -> None:
        if arrived.sequence != self._expected:
            message = f"poll {self._expected} never reached the model, {arrived.sequence} did: nothing was committed"
            raise Stop(message)
        self._expected += 1
        records = self._valid(arrived.records)
        self._ledger.read(records)
        self._metrics.consumed(len(records))
        self._batcher.add(records)

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
        records = self._next(now_s, drain=drain)
        if records is not None:
            self._launch(records, now_s)
        while self._in_flight and self._must_collect(idle=records is None):
            self._finish(self._in_flight.popleft())
        return records is not None or bool(self._in_flight)

    def _must_collect(self, *, idle: bool) -> bool:
        return idle or self._in_flight[0].is_done() or len(self._in_flight) >= self._limits.max_concurrent_batches

    def _next(self, now_s: float, *, drain: bool) -> Records | None:
        if self._held is not None:
            if now_s < self._retry_at_s and not drain:
                return None
            held, self._held = self._held, None
            return held
        batch = self._batcher.next_batch(now_s, max_batch_size=self._max_batch_size(), drain=drain)
        if batch is None:
            return None
        self._metrics.batch(len(batch.records), trigger=batch.trigger)
        return batch.records

    def _max_batch_size(self) -> int:
        with self._steps.slot.lease() as version:
            return min(self._limits.max_batch_size, version.max_batch_size or self._limits.max_batch_size)

    def _launch(self, polled: Records, now_s: float) -> None:
        records = self._valid(polled)
        if not len(records):
            return
        try:
            with self._metrics.stage("decode"):
                decoded = decode(records, self._steps.decoder, self._steps.keys)
        except Retry as reason:
            self._hold(records, reason, now_s)
            return
        self._retry_s = RETRY_FIRST_S
        with self._calling(), self._steps.slot.lease() as version:
            self._in_flight.append(launch(decoded, version))

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Time the model, and let others see since when it has been busy: a call that never ends must be noticed."""
        self.calling_since_s = self._clock.monotonic_s()
        try:
            with self._metrics.stage("infer"):
                yield
        finally:
            self.calling_since_s = None

    def _hold(self, records: Records, reason: Retry, now_s: float) -> None:
        """Keep the batch and its positions; it is tried again after a growing pause."""
        log.warning("%d records wait %.1f s: %s", len(records), self._retry_s, reason)
        self._held = records
        self._retry_at_s = now_s + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_LAST_S)

    def _collect_all(self) -> None:
        while self._in_flight:
            self._finish(self._in_flight.popleft())

    def _finish(self, launched: Launched) -> None:
        with self._calling():
            inferred = collect(launched, non_finite=self._limits.non_finite)
        rejects = [*inferred.rejects, *self._answer(inferred)]
        self._steps.dead_letters.send(inferred.records, rejects, model_version=inferred.version.version)
        self._metrics.dead_lettered(rejects)
        self._metrics.skipped(inferred.skipped)
        self._ledger.finish(inferred.records)
        self._limits.give(len(inferred.records), inferred.records.size_bytes)
        self._steps.commit.note_progress(self._clock.monotonic_s())

    def _answer(self, inferred: Inferred) -> list[Reject]:
        """Encode and send the predictions of a batch; return what could not be."""
        if inferred.scored is None:
            return []
        wall_s = self._clock.wall_s()
        with self._metrics.stage("encode"):
            encoded = self._steps.encoder.encode(inferred, inferred.scored, served=self._served, now_s=wall_s)
        with self._metrics.stage("produce"):
            unsent = self._steps.predictions.send(inferred.records, encoded)
        stamps = np.asarray(inferred.records.timestamps_ms)[encoded.rows]
        self._metrics.answered(len(encoded.rows) - len(unsent), timestamps_ms=stamps, now_s=wall_s)
        return [*encoded.rejects, *unsent]

    def _settle(self, request: told.Settle) -> None:
        self._collect_all()
        positions = self._steps.commit.settle(request.sources)
        self._ledger.forget(request.sources)
        request.answer.set_result(positions)

    def _drain(self, request: told.Drain) -> None:
        """Finish what is in hand; what still waits for the registry is left to whoever starts next."""
        while self._advance(drain=True) and self._held is None:
            continue
        self._collect_all()
        request.answer.set_result(self._steps.commit.settle(None))
        self.ended = True
