"""The scores of a batch: the value that the model hands on, and its Arrow columns."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model says of each row; all arrays have as many rows.

    `scores` is the activated output, (rows, k); `prediction`, `label_index` (into `labels`) and `confidence` are None
    where the task has none. Rows in `withheld` count as having no answer: null columns and no scores.
    """

    scores: NDArray[np.float32]
    prediction: NDArray[np.float64] | None = None
    label_index: NDArray[np.int64] | None = None
    labels: tuple[str, ...] | None = None
    confidence: NDArray[np.float32] | None = None
    withheld: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[Any]) -> "Scored":
        """Return these rows only, in this order: row numbers, a mask or a slice."""
        return Scored(
            self.scores[rows],
            prediction=_take(self.prediction, rows),
            label_index=_take(self.label_index, rows),
            labels=self.labels,
            confidence=_take(self.confidence, rows),
            withheld=_take(self.withheld, rows),
        )

    def without(self, mask: NDArray[np.bool_]) -> "Scored":
        """Return all rows, with no answer for those in the mask."""
        return replace(self, withheld=mask if self.withheld is None else self.withheld | mask)

    def prediction_column(self) -> pa.Array:
        """Return predictions as float64, null where there is none."""
        return self._column(self.prediction, pa.float64())

    def confidence_column(self) -> pa.Array:
        """Return confidences as float32, null where there is none."""
        return self._column(self.confidence, pa.float32())

    def label_column(self) -> pa.Array:
        """Return the labels' names as strings, null where there is none."""
        if self.labels is None:
            return pa.nulls(len(self), pa.string())
        return _names(self.labels).take(self._column(self.label_index, pa.int64()))

    def scores_column(self) -> pa.Array:
        """Return scores as lists of float32, empty where they are withheld."""
        kept, ends = self.scores, _ends(*self.scores.shape)
        if self.withheld is not None:
            kept = kept[~self.withheld]
            ends = pa.array(np.append(0, (~self.withheld).cumsum() * kept.shape[1]).astype(np.int32))
        return pa.ListArray.from_arrays(ends, pa.array(kept.reshape(-1)))

    def _column(self, values: NDArray[Any] | None, kind: pa.DataType) -> pa.Array:
        if values is None:
            return pa.nulls(len(self), kind)
        return pa.array(values, type=kind, mask=self.withheld)


@lru_cache(maxsize=64)
def _ends(rows: int, width: int) -> pa.Array:
    """Return where lists of `width` items begin and end."""
    return pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width))


@lru_cache(maxsize=16)
def _names(labels: tuple[str, ...]) -> pa.Array:
    return pa.array(labels)


def _take(values: NDArray[Any] | None, rows: NDArray[Any]) -> NDArray[Any] | None:
    return None if values is None else values[rows]
