"""What the model says, by version: how often each label, and how sure it is. A shift here is often seen before lag."""

from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from stream_infer.metrics.histogram import FEW, SHARE_BUCKETS, Buckets

MOST_LABELS: Final = 50
MOST_VERSIONS: Final = 8
"""Versions whose series are kept: those that answered last."""
OTHER: Final = "other"
NO_LABEL: Final = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What one version said of the rows of a batch that were answered.

    `label_index` points into `labels`; both are None where the task has none. Rows in `withheld` have no answer.
    """

    version: str
    rows: int
    labels: tuple[str, ...] | None = None
    label_index: NDArray[np.int64] | None = None
    confidence: NDArray[np.float32] | None = None
    withheld: NDArray[np.bool_] | None = None

    def add_to(self, counts: list[int]) -> None:
        """Count the rows of each label, those without one last."""
        if self.labels is None or self.label_index is None:
            counts[-1] += self.rows
            return
        last = len(counts) - 2
        found = self._kept(self.label_index)
        if len(found) <= FEW:
            for label in found.tolist():
                counts[min(label, last)] += 1
        else:
            for label, count in enumerate(np.bincount(np.minimum(found, last)).tolist()):
                counts[label] += count
        counts[-1] += self.rows - len(found)

    def confidences(self) -> NDArray[np.float32] | None:
        """Return the confidences that are known."""
        return None if self.confidence is None else self._kept(self.confidence)

    def _kept(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self.withheld is None else values[~self.withheld]


class _Version:
    """What one version has said so far."""

    def __init__(self, labels: tuple[str, ...] | None) -> None:
        self.labels = labels
        named = labels or ()
        shown = named if len(named) <= MOST_LABELS else (*named[: MOST_LABELS - 1], OTHER)
        self.names = (*shown, NO_LABEL)
        self.counts = [0] * len(self.names)
        self.confidence = Buckets(SHARE_BUCKETS)

    def by_name(self) -> Tally[str]:
        """Return the counts by label, of two labels of one name together."""
        tally: Tally[str] = Tally()
        for name, count in zip(self.names, self.counts, strict=True):
            if count or name != NO_LABEL:
                tally[name] += count
        return tally


class Scores(Collector):
    """Counts by version and label. Fed by the compute thread, read by any."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, _Version] = OrderedDict()

    def add(self, said: Said) -> None:
        """Count one batch; a version that comes back with other labels begins anew."""
        found = self._versions.get(said.version)
        if found is None or found.labels != said.labels:
            found = self._versions[said.version] = _Version(said.labels)
        self._versions.move_to_end(said.version)
        if len(self._versions) > MOST_VERSIONS:
            self._versions.popitem(last=False)
        said.add_to(found.counts)
        if (confidences := said.confidences()) is not None:
            found.confidence.observe(confidences)

    def collect(self) -> Iterator[Metric]:
        """Yield both families."""
        labels = CounterMetricFamily(
            "stream_infer_predictions_by_label",
            f"Predictions by version and label; from the {MOST_LABELS}th label on: {OTHER}.",
            labels=("version", "label"),
        )
        confidence = HistogramMetricFamily(
            "stream_infer_prediction_confidence", "Score of the label that won, by version.", labels=("version",)
        )
        for version, found in self._versions.copy().items():
            for name, count in found.by_name().items():
                labels.add_metric((version, name), count)
            found.confidence.add_to(confidence, (version,))
        yield labels
        yield confidence
