"""Histograms that take a whole batch at a time; prometheus-client observes one value after the other."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

DURATION_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
SIZE_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
SHARE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

By = tuple[str, Sequence[str]]
"""A label and its values."""
_DOUBLE: Final = np.dtype(np.float64)
FEW: Final = 16
"""Values up to which they are counted sooner one by one than by a call of NumPy."""


class Buckets:
    """Counts by upper edge, and the sum of what was counted."""

    def __init__(self, edges: Sequence[float]) -> None:
        # In the type of what is counted here: 0.9 as float32 lies above the edge 0.9 as float64.
        self._edges = {np.dtype(kind): np.array(edges, dtype=kind) for kind in (np.float32, np.float64)}
        self._steps = {kind: found.tolist() for kind, found in self._edges.items()}
        self._names = [*map(floatToGoString, edges), "+Inf"]
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._sum = 0.0

    def add(self, value: float, *, times: int = 1) -> None:
        """Count one value so many times."""
        self._add(value, self._steps[_DOUBLE], times=times)

    def observe(self, values: NDArray[Any]) -> None:
        """Count every value: float32 or float64."""
        if len(values) <= FEW:
            steps = self._steps[values.dtype]
            for value in values.tolist():
                self._add(value, steps, times=1)
            return
        slots = np.searchsorted(self._edges[values.dtype], values)
        self._counts += np.bincount(slots, minlength=len(self._counts))
        self._sum += float(values.sum())

    def _add(self, value: float, steps: list[float], *, times: int) -> None:
        self._counts[len(steps) if math.isnan(value) else bisect_left(steps, value)] += times
        self._sum += value * times

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add a series to a family as Prometheus wants it: cumulative counts by upper edge."""
        buckets = list(zip(self._names, self._counts.cumsum().tolist(), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=self._sum)


class BulkHistogram(Collector):
    """A histogram of one series, or, `by` a label and its values, of one for each of these."""

    def __init__(self, name: str, documentation: str, edges: Sequence[float], *, by: By | None = None) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = () if by is None else (by[0],)
        named: list[tuple[str, ...]] = [()] if by is None else [(value,) for value in by[1]]
        self._series = {each: Buckets(edges) for each in named}

    def series(self, *values: str) -> Buckets:
        """Return the series of a label's value, or the only one."""
        return self._series[values]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the one family."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, buckets in self._series.items():
            buckets.add_to(family, values)
        yield family
