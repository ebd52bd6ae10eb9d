"""Infer: decoded columns to scores, on the device, by one version of the model."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.logs import Repeated
from stream_infer.model import InferenceFailed, LoadedVersion, Pending, Prepared, PreparedBatches, Scored
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.about import offsets_of
from stream_infer.pipeline.decode import Decoded
from stream_infer.pipeline.isolate import Isolated, isolate, join
from stream_infer.records import Records

repeated = Repeated(logging.getLogger(__name__))

Calling = Callable[[], AbstractContextManager[None]]
"""Marks a block as a call of the model, so that one that never ends is noticed."""
NON_FINITE: Final = "the model's scores hold NaN or infinity: expected finite numbers"


@dataclass(frozen=True, slots=True)
class Served:
    """Who scores a batch: one variant of what served when its call began.

    `batch` is the batch's number, None for what did not come from Kafka.
    """

    serving: Serving
    variant: Variant
    batch: int | None = None

    @property
    def version(self) -> LoadedVersion:
        """The version that is called."""
        return self.serving.version(self.variant)

    @property
    def revision(self) -> int:
        """The revision of the desired state that named it."""
        return self.serving.revision

    @property
    def fields(self) -> Mapping[str, object]:
        """What a line of the log says of the batch."""
        return {"batch": self.batch, "revision": self.revision, "version": self.version.version}


@dataclass(frozen=True, slots=True)
class Inferred:
    """A batch, or a stretch of them, with its scores: one row of `scored` and of `columns` for each of `rows`.

    `scored` is None before the scores are there, and where no row has any. `given` counts the rows that the model was
    called with, `failed` and `non_finite` those of them that it failed on and that it scored with NaN or infinity;
    `refused` are those of them that are in `rejects` for it, `refused_last` those in calls behind the last one that
    scored any. `padding` counts the rows that filled calls up.
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
    refused_last: int = 0

    @property
    def fields(self) -> Mapping[str, object]:
        """What a line of the log says of the batch."""
        return {**self.served.fields, "offsets": offsets_of(self.records)}


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call with rows `start` to `stop - 1` of a batch's columns; `pending` is None when it failed at once."""

    start: int
    stop: int
    pending: Pending | None


@dataclass(frozen=True, slots=True)
class Launched:
    """A batch whose model calls are under way, each with the next of its rows; `began_s` is when it was cut."""

    batch: Inferred
    calls: tuple[ModelCall, ...]
    began_s: float

    def is_done(self) -> bool:
        """Whether the scores can be had without waiting."""
        return all(call.pending is None or call.pending.done() for call in self.calls)


def launch(decoded: Decoded, served: Served, *, batch_size: int, calling: Calling, began_s: float = 0.0) -> Launched:
    """Start the model calls for the rows that fit its inputs, up to `batch_size` rows in each, each in a `calling`."""
    version = served.version
    prepared = version.prepare_batches(decoded.columns, batch_size=batch_size)
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
        padding=sum(one.padded_rows - len(one.rows) for one in prepared.batches),
    )
    return Launched(batch, tuple(_calls(prepared, batch, calling)), began_s)


def _calls(prepared: PreparedBatches, batch: Inferred, calling: Calling) -> Iterator[ModelCall]:
    start = 0
    for one in prepared.batches:
        with calling():
            pending = _start(one, batch)
        yield ModelCall(start, start + len(one.rows), pending)
        start += len(one.rows)


def _start(prepared: Prepared, batch: Inferred) -> Pending | None:
    try:
        return batch.served.version.launch(prepared)
    except InferenceFailed as error:
        repeated.warning("%s", error, extra=batch.fields)
        return None


def collect(launched: Launched, *, non_finite: str | None) -> Inferred:
    """Wait for the scores, isolate records that the model fails on, and apply the policy for non-finite scores.

    `non_finite` is dead_letter, pass, or None for null. Raises `ModelBroken` when the model fails on zeros too, and
    `DeviceLost` when the device is past helping.
    """
    inferred = _finite(_with_scores(launched), non_finite=non_finite)
    return replace(inferred, refused_last=_refused_last(inferred, launched)) if inferred.refused else inferred


def _refused_last(inferred: Inferred, launched: Launched) -> int:
    scored = np.isin(launched.batch.rows, inferred.rows)
    last = max((call.stop for call in launched.calls if scored[call.start : call.stop].any()), default=0)
    return len(scored) - last


def _finite(inferred: Inferred, *, non_finite: str | None) -> Inferred:
    """Apply the policy for scores that are NaN or infinite."""
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
    batch, version = launched.batch, launched.batch.served.version
    if not launched.calls:
        return batch
    pending = [call.pending for call in launched.calls if call.pending is not None]
    if len(pending) == len(launched.calls):
        # What failed is told below, where each call is looked at.
        with suppress(InferenceFailed):
            return replace(batch, scored=version.collect(pending))
    isolated = join([_isolated(call, batch) for call in launched.calls])
    rejects = tuple(reject.at(int(batch.rows[reject.row])) for reject in isolated.rejects)
    batch = replace(batch, failed=len(rejects), refused=len(rejects))
    return _keep(batch, isolated.rows, scored=isolated.scored, rejects=rejects)


def _isolated(call: ModelCall, batch: Inferred) -> Isolated:
    """Wait for one call; where it failed, find the records at fault."""
    try:
        if call.pending is not None:
            return Isolated(np.arange(call.start, call.stop), call.pending.result(), ())
    except InferenceFailed as error:
        repeated.warning("%s", error, extra=batch.fields)
    columns = batch.columns.slice(call.start, call.stop - call.start)
    return isolate(columns, batch.served.version, about=batch.fields).behind(call.start)


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
    """Wait for calls whose scores nobody wants any more: what they read must stay until they are over."""
    for call in launched.calls:
        try:
            if call.pending is not None:
                call.pending.result()
        except InferenceFailed as error:
            repeated.info("a call that was given up failed: %s", error, extra=launched.batch.fields)
