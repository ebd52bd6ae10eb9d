"""Histograms that take a whole batch at a time; prometheus-client observes one value after the other."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

DURATION_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
SIZE_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Buckets:
    """Counts by upper edge, and the sum of what was counted."""

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = np.array(edges)
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._sum = 0.0

    def observe(self, values: NDArray[np.floating]) -> None:
        """Count every value."""
        slots = np.searchsorted(self._edges, values)
        self._counts += np.bincount(slots, minlength=len(self._counts))
        self._sum += float(values.sum())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add a series to a family as Prometheus wants it: cumulative counts by upper edge."""
        names = [*map(str, self._edges.tolist()), "+Inf"]
        cumulative = self._counts.cumsum().tolist()
        family.add_metric(labels, buckets=list(zip(names, cumulative, strict=True)), sum_value=self._sum)

    def quantile(self, fraction: float) -> float:
        """Return the upper edge of the bucket that holds this fraction of all values."""
        cumulative = self._counts.cumsum()
        slot = int(np.searchsorted(cumulative, fraction * cumulative[-1]))
        return float(self._edges[min(slot, len(self._edges) - 1)])


class LatencyHistogram(Collector):
    """Seconds per record."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._buckets = Buckets(DURATION_BUCKETS_S)

    def observe(self, seconds: NDArray[np.floating]) -> None:
        """Count every value of a batch."""
        self._buckets.observe(seconds)

    def quantile(self, fraction: float) -> float:
        """Return the upper edge, in seconds, of the bucket that holds this fraction of all records."""
        return self._buckets.quantile(fraction)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the one family."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=())
        self._buckets.add_to(family, ())
        yield family
