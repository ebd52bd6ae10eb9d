"""What the threads count while they work. Values are added per batch, never per record."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from stream_infer.clock import Clock
from stream_infer.errors import Reject
from stream_infer.metrics.histogram import DURATION_BUCKETS_S, SIZE_BUCKETS, LatencyHistogram
from stream_infer.metrics.unsure import Totals, Unsure

STAGES: Final = ("decode", "infer", "encode", "produce", "commit")


class Metrics:
    """The worker's metrics in a registry of their own; written by the compute thread, read by the web page.

    Answers are counted by `confirm`, so that those of a transaction that was rolled back never are.
    """

    def __init__(self, *, version: str, clock: Clock) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self.consumed_total = self._counter("records_consumed", "Records polled and accepted.")
        self.produced_total = self._counter("predictions_produced", "Predictions handed to the producer.")
        self.skipped_total = self._counter("records_skipped", "Records without a value, passed over by policy.")
        self.dead_letters_total = self._counter("dead_letters", "Records refused.", "stage", "reason")
        self.batches_total = self._counter("batches", "Batches cut, by what closed them.", "trigger")
        self.batch_records = self._histogram("batch_records", "Records in a batch.", SIZE_BUCKETS)
        self.stage_seconds = self._histogram(
            "stage_duration_seconds", "Time a batch took.", DURATION_BUCKETS_S, "stage"
        )
        self.control_messages_total = self._counter("control_messages", "Control records read.", "outcome")
        self.swaps_total = self._counter("model_swaps", "Changes of what serves, wanted and refused.", "outcome")
        self.transactions_total = self._counter("transactions", "Transactions that ended, by how.", "outcome")
        self.transaction_seconds = self._histogram(
            "transaction_duration_seconds", "Time from the commit's begin to the broker's answer.", DURATION_BUCKETS_S
        )
        self.latency_seconds = LatencyHistogram(
            "stream_infer_end_to_end_latency_seconds", "From the record's timestamp to its prediction's hand-over."
        )
        self.registry.register(self.latency_seconds)
        Info("stream_infer_build", "The running package.", registry=self.registry).info({"version": version})
        self._answered = self._dead_lettered = self._skipped = self._batches = 0
        self._unsure = Unsure()
        self._stages = {name: self.stage_seconds.labels(name) for name in STAGES}

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read whenever it is scraped."""
        Gauge(f"stream_infer_{name}", documentation, registry=self.registry).set_function(read)

    def consumed(self, records: int) -> None:
        """Count polled records."""
        self.consumed_total.inc(records)

    def batch(self, records: int, *, trigger: str) -> None:
        """Count one batch."""
        self._batches += 1
        self.batches_total.labels(trigger).inc()
        self.batch_records.observe(records)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one step of one batch."""
        started_s = self._clock.monotonic_s()
        yield
        self._stages[name].observe(self._clock.monotonic_s() - started_s)

    def answered(self, records: int, *, timestamps_ms: NDArray[np.int64], now_s: float) -> None:
        """Note predictions and how old their records are at wall-clock time `now_s`; -1 stands for no timestamp."""
        self._unsure.answered += records
        known = timestamps_ms[timestamps_ms >= 0]
        self.latency_seconds.observe(np.maximum(now_s - known / 1000.0, 0.0))

    def dead_lettered(self, rejects: Sequence[Reject]) -> None:
        """Note refused records."""
        self._unsure.refused.update((one.stage, one.reason) for one in rejects)

    def totals(self) -> Totals:
        """Return what was counted since the start."""
        return Totals(
            answered=self._answered, dead_lettered=self._dead_lettered, batches=self._batches, skipped=self._skipped
        )

    def skipped(self, records: int) -> None:
        """Note records without a value."""
        self._unsure.skipped += records

    def confirm(self) -> None:
        """Count what was noted: it stays."""
        unsure, self._unsure = self._unsure, Unsure()
        self._answered += unsure.answered
        self._skipped += unsure.skipped
        self.produced_total.inc(unsure.answered)
        self.skipped_total.inc(unsure.skipped)
        for (stage, reason), count in unsure.refused.items():
            self._dead_lettered += count
            self.dead_letters_total.labels(stage, reason).inc(count)

    def discard(self) -> None:
        """Forget what was noted: it was rolled back."""
        self._unsure = Unsure()

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"stream_infer_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"stream_infer_{name}", documentation, labels, buckets=buckets, registry=self.registry)
