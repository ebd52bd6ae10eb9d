"""Every metric of the worker, declared once. Values are added per batch, never per record."""

import json
import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from stream_infer.clock import Clock
from stream_infer.errors import Reject

log = logging.getLogger(__name__)

DURATION_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
SIZE_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
STAGES: Final = ("decode", "infer", "encode", "produce", "commit")


class LatencyHistogram(Collector):
    """Seconds per record, observed a whole batch at a time; prometheus-client has no bulk observation."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._edges = np.array(DURATION_BUCKETS_S)
        self._counts = np.zeros(len(DURATION_BUCKETS_S) + 1, dtype=np.int64)
        self._sum_s = 0.0

    def observe(self, seconds: NDArray[np.float64]) -> None:
        """Count every value of a batch."""
        slots = np.searchsorted(self._edges, seconds)
        self._counts += np.bincount(slots, minlength=len(self._counts))
        self._sum_s += float(seconds.sum())

    def quantile(self, fraction: float) -> float:
        """Return the upper edge, in seconds, of the bucket that holds this fraction of all records."""
        cumulative = self._counts.cumsum()
        slot = int(np.searchsorted(cumulative, fraction * cumulative[-1]))
        return DURATION_BUCKETS_S[min(slot, len(DURATION_BUCKETS_S) - 1)]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the family as Prometheus wants it: cumulative counts by upper edge."""
        edges = [*map(str, DURATION_BUCKETS_S), "+Inf"]
        buckets = list(zip(edges, self._counts.cumsum().tolist(), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum_s)


@dataclass(frozen=True, slots=True)
class Totals:
    """Records and batches since the start."""

    answered: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    batches: int = 0


@dataclass(slots=True)
class Unsure:
    """Answers that were handed over and may still be rolled back."""

    answered: int = 0
    skipped: int = 0
    refused: Tally[tuple[str, str]] = field(default_factory=Tally)


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


def final_line(metrics: Metrics) -> str:
    """Return the counters of answers as one line of JSON: what a run did, when nothing follows any more."""
    totals = metrics.totals()
    return "final counters: " + json.dumps(
        {
            "predictions_produced_total": totals.answered,
            "dead_letters_total": totals.dead_lettered,
            "records_skipped_total": totals.skipped,
            "batches_total": totals.batches,
        }
    )


class Reporter:
    """Says in the log what a worker did in each period, for whoever watches it without a dashboard."""

    def __init__(self, metrics: Metrics, *, period_s: float) -> None:
        self._metrics = metrics
        self._period_s = period_s
        self._last = Totals()

    def report(self) -> None:
        """Write one line about the time since the last call; nothing when nothing moved."""
        now, last = self._metrics.totals(), self._last
        self._last = now
        answered, batches = now.answered - last.answered, now.batches - last.batches
        if now != last:
            log.info(
                "%d records answered in %.0f s (%.0f a second, %.1f a batch), %d dead letters, %d skipped",
                answered,
                self._period_s,
                answered / self._period_s,
                answered / max(batches, 1),
                now.dead_lettered - last.dead_lettered,
                now.skipped - last.skipped,
            )
