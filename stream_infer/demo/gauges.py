"""Batch sizes as the worker counts them, read from its metrics page by a thread, so that no answer waits for it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

FAMILY: Final = "stream_infer_batch_records"
INTERVAL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Batches so far: how many, how many records they held, and the bucket's upper edge that holds the 99th percent."""

    batches: int = 0
    records: int = 0
    p99_records: int = 0

    @property
    def mean_records(self) -> float:
        """Return the records in a batch on average; 0 without batches."""
        return self.records / self.batches if self.batches else 0.0


def read_batch_sizes(page: str) -> BatchSizes:
    """Return what a metrics page, Prometheus text, says of batches; zeros when it says nothing."""
    batches = records = 0
    edges: list[tuple[float, float]] = []
    for family in text_string_to_metric_families(page):
        for sample in family.samples if family.name == FAMILY else ():
            if sample.name.endswith("_bucket"):
                edges.append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_sum"):
                records = int(sample.value)
            elif sample.name.endswith("_count"):
                batches = int(sample.value)
    finite = [edge for edge, count in sorted(edges) if edge != float("inf") and count >= 0.99 * batches]
    largest = max((edge for edge, _ in edges if edge != float("inf")), default=0.0)
    return BatchSizes(batches, records, int(min(finite, default=largest))) if batches else BatchSizes()


class Gauges:
    """Reads the page twice a second between entering and leaving the `with` block, and once more when asked."""

    def __init__(self, page: Callable[[], str | None]) -> None:
        self._page = page
        self._latest = BatchSizes()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read_on, name="demo-gauges", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    @property
    def latest(self) -> BatchSizes:
        """Return what was read last; a page that does not answer leaves it as it was."""
        return self._latest

    def refresh(self) -> BatchSizes:
        """Read the page now and return what it says."""
        page = self._page()
        if page is not None:
            self._latest = read_batch_sizes(page)
        return self._latest

    def _read_on(self) -> None:
        while not self._end.wait(INTERVAL_S):
            self.refresh()
