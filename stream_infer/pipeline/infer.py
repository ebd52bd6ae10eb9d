"""Infer: decoded columns to scores, on the device, by one version of the model."""

import logging
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.model import InferenceFailed, LoadedVersion, Pending, Prepared, Scored
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.decode import Decoded
from stream_infer.pipeline.isolate import isolate
from stream_infer.records import Records

log = logging.getLogger(__name__)

NON_FINITE: Final = "the model's scores hold NaN or infinity: expected finite numbers"


@dataclass(frozen=True, slots=True)
class Served:
    """Who scores a batch: one variant of what served when its call began."""

    serving: Serving
    variant: Variant

    @property
    def version(self) -> LoadedVersion:
        """The version that is called."""
        return self.serving.version(self.variant)

    @property
    def revision(self) -> int:
        """The revision of the desired state that named it."""
        return self.serving.revision


@dataclass(frozen=True, slots=True)
class Inferred:
    """A batch with its scores: one row of `scored` and of `columns` for each of `rows`.

    `scored` is None before the scores are there, and where no row has any. `given` counts the rows that the model was
    called with, `failed` and `non_finite` those of them that it failed on and that it scored with NaN or infinity;
    `refused` are those of them that are in `rejects` for it. `padding` counts the rows that filled the call up.
    """

    records: Records
    served: Served
    columns: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    skipped: int
    scored: Scored | None = None
    given: int = 0
    padding: int = 0
    failed: int = 0
    non_finite: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Launched:
    """A batch whose model call is under way; `pending` is None when the call failed at once."""

    batch: Inferred
    pending: Pending | None

    def is_done(self) -> bool:
        """Whether the scores can be had without waiting."""
        return self.pending is None or self.pending.done()


def launch(decoded: Decoded, served: Served) -> Launched:
    """Start the model call for the rows that fit its inputs."""
    prepared = served.version.prepare(decoded.columns)
    fitting = len(prepared.rows) == decoded.columns.num_rows
    rejects = tuple(reject.at(int(decoded.rows[reject.row])) for reject in prepared.rejects)
    batch = Inferred(
        records=decoded.records,
        served=served,
        columns=decoded.columns if fitting else decoded.columns.take(pa.array(prepared.rows)),
        rows=decoded.rows if fitting else decoded.rows[prepared.rows],
        rejects=decoded.rejects + rejects,
        skipped=decoded.skipped,
        given=len(prepared.rows),
        padding=prepared.padded_rows - len(prepared.rows),
    )
    return Launched(batch, _start(prepared, served.version))


def _start(prepared: Prepared, version: LoadedVersion) -> Pending | None:
    try:
        return version.launch(prepared)
    except InferenceFailed as error:
        log.warning("%s", error)
        return None


def collect(launched: Launched, *, non_finite: str | None) -> Inferred:
    """Wait for the scores, isolate records that the model fails on, and apply the policy for non-finite scores.

    `non_finite` is dead_letter, pass, or None for null. Raises `ModelBroken` when the model fails on zeros too, and
    `DeviceLost` when the device is past helping.
    """
    inferred = _with_scores(launched)
    scored = inferred.scored
    if scored is None or np.isfinite(scored.scores).all():
        return inferred
    finite = np.asarray(np.isfinite(scored.scores).all(axis=1))
    inferred = replace(inferred, non_finite=len(finite) - int(finite.sum()))
    if non_finite == "pass":
        return inferred
    if non_finite is None:
        return replace(inferred, scored=scored.without(~finite))
    rows = inferred.rows[~finite].tolist()
    rejects = tuple(Reject(row, Stage.INFER, Reason.NON_FINITE, NON_FINITE) for row in rows)
    inferred = replace(inferred, refused=inferred.refused + len(rejects))
    return _keep(inferred, np.flatnonzero(finite), scored=scored.take(finite), rejects=rejects)


def _with_scores(launched: Launched) -> Inferred:
    batch = launched.batch
    if not len(batch.rows):
        return batch
    try:
        if launched.pending is not None:
            return replace(batch, scored=launched.pending.result())
    except InferenceFailed as error:
        log.warning("%s", error)
    isolated = isolate(batch.columns, batch.served.version)
    rejects = tuple(reject.at(int(batch.rows[reject.row])) for reject in isolated.rejects)
    batch = replace(batch, failed=len(rejects), refused=len(rejects))
    return _keep(batch, isolated.rows, scored=isolated.scored, rejects=rejects)


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


def abandon(launched: Launched) -> None:
    """Wait for a call whose scores nobody wants any more: what it reads must stay until it is over."""
    if launched.pending is not None:
        try:
            launched.pending.result()
        except InferenceFailed as error:
            log.info("%s", error)
