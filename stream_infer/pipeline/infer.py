"""Infer: decoded columns to scores, on the device, by one version of the model."""

import logging
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.model import InferenceFailed, LoadedVersion, Pending, Prepared, Scored
from stream_infer.pipeline.decode import Decoded
from stream_infer.pipeline.isolate import isolate
from stream_infer.records import Records

log = logging.getLogger(__name__)

NON_FINITE: Final = "the model's scores hold NaN or infinity: expected finite numbers"


@dataclass(frozen=True, slots=True)
class Launched:
    """A batch whose model call is under way; `rows` are those in it, `pending` is None when the call failed at once."""

    records: Records
    version: LoadedVersion
    columns: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    skipped: int
    pending: Pending | None

    def is_done(self) -> bool:
        """Whether the scores can be had without waiting."""
        return self.pending is None or self.pending.done()


@dataclass(frozen=True, slots=True)
class Inferred:
    """A batch with its scores: one row of `scored` and of `columns` for each of `rows`; None where there are none."""

    records: Records
    version: LoadedVersion
    columns: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    skipped: int
    scored: Scored | None


def launch(decoded: Decoded, version: LoadedVersion) -> Launched:
    """Start the model call for the rows that fit its inputs."""
    prepared = version.prepare(decoded.columns)
    fitting = len(prepared.rows) == decoded.columns.num_rows
    rejects = tuple(reject.at(int(decoded.rows[reject.row])) for reject in prepared.rejects)
    return Launched(
        records=decoded.records,
        version=version,
        columns=decoded.columns if fitting else decoded.columns.take(pa.array(prepared.rows)),
        rows=decoded.rows if fitting else decoded.rows[prepared.rows],
        rejects=decoded.rejects + rejects,
        skipped=decoded.skipped,
        pending=_start(prepared, version),
    )


def _start(prepared: Prepared, version: LoadedVersion) -> Pending | None:
    try:
        return version.launch(prepared)
    except InferenceFailed as error:
        log.warning("%s", error)
        return None


def collect(launched: Launched, *, non_finite: str | None) -> Inferred:
    """Wait for the scores, isolate records that the model fails on, and apply the policy for non-finite scores.

    `non_finite` is dead_letter, pass, or None for null. Raises `Stop` when the model itself is broken.
    """
    inferred = _with_scores(launched)
    scored = inferred.scored
    if scored is None or non_finite == "pass" or np.isfinite(scored.scores).all():
        return inferred
    finite = np.asarray(np.isfinite(scored.scores).all(axis=1))
    if non_finite is None:
        return replace(inferred, scored=scored.without(~finite))
    rows = inferred.rows[~finite].tolist()
    rejects = tuple(Reject(row, Stage.INFER, Reason.NON_FINITE, NON_FINITE) for row in rows)
    return _keep(inferred, np.flatnonzero(finite), scored=scored.take(finite), rejects=rejects)


def _with_scores(launched: Launched) -> Inferred:
    inferred = Inferred(
        records=launched.records,
        version=launched.version,
        columns=launched.columns,
        rows=launched.rows,
        rejects=launched.rejects,
        skipped=launched.skipped,
        scored=None,
    )
    if not len(launched.rows):
        return inferred
    try:
        if launched.pending is not None:
            return replace(inferred, scored=launched.pending.result())
    except InferenceFailed as error:
        log.warning("%s", error)
    isolated = isolate(launched.columns, launched.version)
    rejects = tuple(reject.at(int(launched.rows[reject.row])) for reject in isolated.rejects)
    return _keep(inferred, isolated.rows, scored=isolated.scored, rejects=rejects)


def _keep(
    inferred: Inferred, kept: NDArray[np.int64], *, scored: Scored | None, rejects: tuple[Reject, ...]
) -> Inferred:
    return replace(
        inferred,
        columns=inferred.columns.take(pa.array(kept)),
        rows=inferred.rows[kept],
        rejects=inferred.rejects + rejects,
        scored=scored if len(kept) else None,
    )
