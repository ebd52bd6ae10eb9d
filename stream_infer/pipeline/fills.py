"""Fills: what stands in each field of a prediction: as an Arrow column, or as Python values where rows are few."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.avro import ArrayOf, AvroType, Primitive, column, is_key_path
from stream_infer.errors import Stop
from stream_infer.model import Scored
from stream_infer.pipeline.infer import Inferred
from stream_infer.records import Place

PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
SOME_MICROS: Final = 1_700_000_000_123_457
"""A moment as long as those to come."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and its scores; `now_s` is wall-clock seconds and becomes `inferred_at`."""

    inferred: Inferred
    scored: Scored
    now_s: float

    def __len__(self) -> int:
        return len(self.inferred.rows)

    @property
    def is_whole(self) -> bool:
        """Whether every record of the batch was scored, and is its own."""
        return not self.inferred.records.origins and len(self) == len(self.inferred.records)


@dataclass(frozen=True, slots=True)
class Fill:
    """What fills a field: `column` does for any batch.

    What `constant` reads of a batch is the same for all its rows. `values` are what fastavro writes for a field of the
    Avro type `plain`, the same as those of the column; None for a batch of which only the column has them.
    """

    column: Callable[[Batch], pa.Array]
    constant: Callable[[Batch], object] | None = None
    values: Callable[[Batch], list[Any] | None] | None = None
    plain: AvroType | None = None


def key_column(name: str) -> str:
    """Return the name under which the decode step adds an event field that it read from the record key."""
    return f"key:{name}"


def event_field(name: str, path: str | None) -> Fill:
    """Return what fills a field with one of the event's, or with nulls where it has none."""
    if path is None:
        return Fill(lambda batch: pa.nulls(len(batch)))
    if is_key_path(path):
        return Fill(lambda batch: batch.inferred.columns.column(key_column(name)))
    return copied(path)


def copied(path: str) -> Fill:
    """Return what fills a field with the input's field at a path."""
    return Fill(lambda batch: column(batch.inferred.columns, path))


def moment(found: pa.DataType, avro_type: AvroType) -> Fill:
    """Return what fills `inferred_at`: in its own unit where it is a time, else in microseconds.

    Raises `Stop` for a field that cannot hold it.
    """
    is_time = pa.types.is_timestamp(found)
    if not is_time and not _holds_micros(found):
        message = f"schemas.output has inferred_at as {found}: expected a timestamp, or a long, double or string"
        raise Stop(message)
    wanted, per_s = (found, PER_S[found.unit]) if is_time else (pa.int64(), PER_S["us"])

    def ticks(batch: Batch) -> int:
        return int(batch.now_s * PER_S["us"]) * per_s // PER_S["us"]

    is_long = isinstance(avro_type, Primitive) and avro_type.kind == "long"
    return Fill(
        # A scalar of a time is dearer to make than a column of numbers.
        column=lambda batch: pa.array(np.full(len(batch), ticks(batch))).view(wanted),
        values=lambda batch: [ticks(batch)] * len(batch),
        plain=avro_type if is_long else None,
    )


def _holds_micros(kind: pa.DataType) -> bool:
    if pa.types.is_time(kind) or pa.types.is_boolean(kind):
        return False
    try:
        pa.array([SOME_MICROS]).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


@lru_cache(maxsize=64)
def repeated(value: object, rows: int) -> pa.Array:
    """Return a column of one value."""
    return pa.repeat(pa.scalar(value), rows)


def _of_batch(read: Callable[[Inferred], object]) -> Fill:
    return Fill(lambda batch: repeated(read(batch.inferred), len(batch)), constant=lambda batch: read(batch.inferred))


def _topics(batch: Batch) -> pa.Array:
    records = batch.inferred.records
    if records.origins:
        return pa.array([origin.source.topic for origin in _origins(batch)])
    names = [run.source.topic for run in records.runs]
    if len(set(names)) == 1:
        return repeated(names[0], len(batch))
    return pa.array(names).take(pa.array(_run_of_rows(batch)))


def _partitions(batch: Batch) -> pa.Array:
    if batch.inferred.records.origins:
        return pa.array([origin.source.partition for origin in _origins(batch)], type=pa.int32())
    numbers = np.array([run.source.partition for run in batch.inferred.records.runs], dtype=np.int32)
    return pa.array(numbers[_run_of_rows(batch)])


def _run_of_rows(batch: Batch) -> NDArray[np.intp]:
    return batch.inferred.records.run_numbers()[batch.inferred.rows]


def _origins(batch: Batch) -> list[Place]:
    return [batch.inferred.records.origin(row) for row in batch.inferred.rows.tolist()]


def _offsets(batch: Batch) -> pa.Array:
    if batch.inferred.records.origins:
        return pa.array([origin.offset for origin in _origins(batch)], type=pa.int64())
    return pa.array(batch.inferred.records.offsets[batch.inferred.rows])


def _topic_values(batch: Batch) -> list[str] | None:
    return (
        [run.source.topic for run in batch.inferred.records.runs for _ in range(len(run))] if batch.is_whole else None
    )


def _partition_values(batch: Batch) -> list[int] | None:
    runs = batch.inferred.records.runs
    return [run.source.partition for run in runs for _ in range(len(run))] if batch.is_whole else None


def _offset_values(batch: Batch) -> list[int] | None:
    return batch.inferred.records.offsets.tolist() if batch.is_whole else None


def _score(column: Callable[[Scored], pa.Array], read: Callable[[Scored], list[Any] | None], plain: AvroType) -> Fill:
    return Fill(
        column=lambda batch: column(batch.scored),
        values=lambda batch: read(batch.scored) if batch.scored.withheld is None else None,
        plain=plain,
    )


def _label_values(scored: Scored) -> list[str] | None:
    if scored.labels is None or scored.label_index is None:
        return None
    return [scored.labels[index] for index in scored.label_index.tolist()]


def _values(array: NDArray[Any] | None) -> list[Any] | None:
    return None if array is None else array.tolist()


FILLS: Final[Mapping[str, Fill]] = {
    "model_name": _of_batch(lambda inferred: inferred.served.version.name),
    "model_version": _of_batch(lambda inferred: inferred.served.version.version),
    "model_digest": _of_batch(lambda inferred: inferred.served.version.digest),
    "revision": _of_batch(lambda inferred: inferred.served.revision),
    "variant": _of_batch(lambda inferred: inferred.served.variant),
    "prediction": _score(Scored.prediction_column, lambda scored: _values(scored.prediction), Primitive("double")),
    "label": _score(Scored.label_column, _label_values, Primitive("string")),
    "confidence": _score(Scored.confidence_column, lambda scored: _values(scored.confidence), Primitive("float")),
    "scores": _score(Scored.scores_column, lambda scored: scored.scores.tolist(), ArrayOf(Primitive("float"))),
    "source_topic": Fill(_topics, values=_topic_values, plain=Primitive("string")),
    "source_partition": Fill(_partitions, values=_partition_values, plain=Primitive("int")),
    "source_offset": Fill(_offsets, values=_offset_values, plain=Primitive("long")),
}
"""Those that need to know nothing of the schemas."""
