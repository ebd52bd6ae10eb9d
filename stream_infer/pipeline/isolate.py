"""Isolate: when a model call fails, find the records at fault, so that their batch-mates are answered."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Reason, Reject, Stage, Stop
from stream_infer.model import InferenceFailed, LoadedVersion, OutOfDeviceMemory, Scored

log = logging.getLogger(__name__)

NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class ModelBroken(Stop):
    """The model answers for no record of a batch, and not for zeros: it is not the records that are at fault."""


@dataclass(frozen=True, slots=True)
class Isolated:
    """Rows that could be scored, ascending, with their scores, and a refusal for every other row."""

    rows: NDArray[np.int64]
    scored: Scored | None
    rejects: tuple[Reject, ...]

    def behind(self, start: int) -> "Isolated":
        """Return the same, of rows that stand `start` rows further down."""
        return Isolated(self.rows + start, self.scored, tuple(reject.at(reject.row + start) for reject in self.rejects))


def join(parts: Sequence[Isolated]) -> Isolated:
    """Return parts that follow each other as one."""
    return Isolated(
        np.concatenate([part.rows for part in parts]),
        _join([part.scored for part in parts if part.scored is not None]),
        tuple(reject for part in parts for reject in part.rejects),
    )


def isolate(columns: pa.RecordBatch, version: LoadedVersion, *, about: Mapping[str, object] = NOTHING) -> Isolated:
    """Score a batch that failed whole in halves, and those in halves, down to single records.

    Where memory was too small, later batches of this version are no larger than what fits; `about` are the fields that
    say in the log which batch showed it. Raises `ModelBroken` when no record of the batch can be scored and the model
    also fails on zeros.
    """
    kept: list[NDArray[np.int64]] = []
    parts: list[Scored] = []
    rejects: list[Reject] = []
    ranges = [(0, columns.num_rows)]
    while ranges:
        start, stop = ranges.pop()
        try:
            parts.append(version.launch(version.prepare(columns.slice(start, stop - start))).result())
            kept.append(np.arange(start, stop))
        except InferenceFailed as error:
            if isinstance(error, OutOfDeviceMemory) and version.cap_below(stop - start):
                most = version.max_batch_size
                log.warning("memory does not hold the batch, at most %d from now on: %s", most, error, extra=about)
            if stop - start == 1:
                rejects.append(Reject(start, Stage.INFER, Reason.MODEL_ERROR, str(error)))
            else:
                middle = (start + stop) // 2
                ranges += [(middle, stop), (start, middle)]
    if not parts:
        _stop_if_broken(version, rejects)
    return Isolated(np.concatenate(kept) if kept else np.array([], dtype=np.int64), _join(parts), tuple(rejects))


def _stop_if_broken(version: LoadedVersion, rejects: list[Reject]) -> None:
    try:
        version.warm(1)
    except InferenceFailed as error:
        message = f"no record of a batch of {len(rejects)} could be scored, nor zeros: {rejects[0].message}"
        raise ModelBroken(message) from error


def _join(parts: list[Scored]) -> Scored | None:
    if not parts:
        return None
    first = parts[0]
    return Scored(
        scores=np.concatenate([part.scores for part in parts]),
        prediction=_stack([part.prediction for part in parts]),
        label_index=_stack([part.label_index for part in parts]),
        labels=first.labels,
        confidence=_stack([part.confidence for part in parts]),
    )


def _stack(columns: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if present else None
