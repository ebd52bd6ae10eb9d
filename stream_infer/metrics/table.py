"""The metrics that threads write, by name: see `readings` for those that are read from elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector

from stream_infer.metrics.histogram import DURATION_BUCKETS_S, SIZE_BUCKETS, BulkHistogram, By
from stream_infer.metrics.scores import Scores

STAGES: Final = ("decode", "infer", "encode", "produce", "commit")
TRIGGERS: Final = ("size", "delay", "drain")
CLOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "batches_total": TRIGGERS,
    "control_messages_total": ("applied", "stale", "invalid", "other"),
    "swaps_total": ("served", "failed", "superseded", "tripped"),
    "swap_seconds": ("fetching", "verifying", "loading", "warming", "switching"),
    "transactions_total": ("committed", "aborted"),
}
"""Labels of small closed sets: their series begin at zero, so that the first of a kind is an increase."""


class Table:
    """The metrics in a registry of their own, and what the system says of this process."""

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        self.consumed_total = self._counter("records_consumed", "Records polled and accepted.")
        self.produced_total = self._counter("predictions_produced", "Predictions handed to the producer.")
        self.skipped_total = self._counter("records_skipped", "Records without a value, passed over by policy.")
        self.dead_letters_total = self._counter("dead_letters", "Records refused.", "stage", "reason")
        self.batches_total = self._counter("batches", "Batches cut, by what closed them.", "trigger")
        self.batch_records = self._bulk("batch_records", "Records in a batch.", SIZE_BUCKETS).series()
        by_stage = ("stage", STAGES)
        stages = self._bulk("stage_duration_seconds", "Time a batch took.", DURATION_BUCKETS_S, by=by_stage)
        self.stage_seconds = {name: stages.series(name) for name in STAGES}
        self.control_messages_total = self._counter("control_messages", "Control records read.", "outcome")
        self.swaps_total = self._counter("model_swaps", "Changes of what serves, wanted and refused.", "outcome")
        self.swap_seconds = self._seconds("model_swap_duration_seconds", "Time a version took in each phase.", "phase")
        self.transactions_total = self._counter("transactions", "Transactions that ended, by how.", "outcome")
        self.transaction_seconds = self._seconds(
            "transaction_duration_seconds", "Time from the first record of a transaction to the end of its commit."
        )
        self.schema_misses_total = self._counter("schema_cache_misses", "Schemas that the registry was asked for.")
        self.latency_seconds = self._bulk("end_to_end_latency_seconds", LATENCY, DURATION_BUCKETS_S).series()
        self.scores = Scores()
        self.registry.register(self.scores)
        Info("stream_infer_build", "The running package.", registry=self.registry).info({"version": version})
        ProcessCollector(registry=self.registry)
        for metric, values in CLOSED.items():
            for value in values:
                getattr(self, metric).labels(value)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"stream_infer_{name}", documentation, labels, registry=self.registry)

    def _bulk(self, name: str, documentation: str, edges: Sequence[float], *, by: By | None = None) -> BulkHistogram:
        made = BulkHistogram(f"stream_infer_{name}", documentation, edges, by=by)
        self.registry.register(made)
        return made

    def _seconds(self, name: str, documentation: str, *labels: str) -> Histogram:
        name = f"stream_infer_{name}"
        return Histogram(name, documentation, labels, buckets=DURATION_BUCKETS_S, registry=self.registry)


LATENCY: Final = (
    "From the record's timestamp to its prediction's hand-over to the producer, or under exactly once to the commit."
)
