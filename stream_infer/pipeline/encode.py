"""Encode: scores and their inputs to prediction records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.avro import AvroSchema, Encoder, column, is_key_path, path_type
from stream_infer.errors import Reason, Reject, Stage, Stop
from stream_infer.model import Scored
from stream_infer.pipeline.infer import Inferred
from stream_infer.records import Place

PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
SOME_MICROS: Final = 1_700_000_000_123_457
"""A moment as long as those to come."""
FEW: Final = 8
"""Rows that are encoded one by one rather than halved once more."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Prediction bytes, one for each of `inferred.rows` that could be encoded, at `rows` of the batch."""

    values: Sequence[bytes]
    rows: list[int]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    inferred: Inferred
    scored: Scored
    inferred_at: pa.Array


Fill = Callable[[_Batch], pa.Array]


class PredictionEncoder:
    """Builds the columns of the prediction schema and encodes them.

    `reader` are the input's columns; `event_fields` maps event_id, entity_id and event_time to their paths in it, or
    None; `passthrough` are input fields copied under their own names. Raises `Stop` for a field of the schema that
    nothing fills, or that its source can never fill.
    """

    def __init__(
        self,
        schema: AvroSchema,
        *,
        encoder: Encoder,
        reader: pa.Schema,
        event_fields: Mapping[str, str | None],
        passthrough: tuple[str, ...],
    ) -> None:
        self._schema = schema.arrow_schema
        self._fields = list(self._schema)
        self._encoder = encoder
        copied = {name: path for name, path in event_fields.items() if path is not None and not is_key_path(path)}
        for name, path in {**copied, **dict.fromkeys(passthrough)}.items():
            _check_copy(reader, path or name, name=name, schema=self._schema)
        fills = {**_FILLS, **{name: _event_field(name, path) for name, path in event_fields.items()}}
        clash = sorted(set(fills) & set(passthrough))
        if clash:
            message = f"schemas.passthrough names {clash[0]}, which is a prediction's own field: expected another field"
            raise Stop(message)
        fills.update({name: _copy(name) for name in passthrough})
        self._fills = [self._fill(name, fills) for name in self._schema.names]
        self._moment_type = _moment_type(self._schema)

    def encode(self, inferred: Inferred, scored: Scored, *, now_s: float) -> Encoded:
        """Encode one batch and its scores; `now_s` is wall-clock seconds and becomes `inferred_at`."""
        batch = _Batch(inferred, scored, _moments(now_s, self._moment_type, len(inferred.rows)))
        arrays = [fill(batch) for fill in self._fills]
        rows = inferred.rows.tolist()
        return self._encode_or_halve(arrays, rows)

    def _encode(self, arrays: list[pa.Array]) -> Sequence[bytes]:
        """Return the rows as bytes; raises `ValueError` when a value does not fit."""
        typed = [_typed(array, field) for array, field in zip(arrays, self._fields, strict=True)]
        return self._encoder.encode(pa.RecordBatch.from_arrays(typed, schema=self._schema))

    def _encode_in_halves(self, arrays: list[pa.Array], rows: list[int]) -> Encoded:
        """Find the rows that the schema cannot hold without looking at each of the others."""
        if len(rows) <= FEW:
            return self._encode_singly(arrays, rows)
        middle = len(rows) // 2
        halves = [
            self._encode_or_halve([array.slice(0, middle) for array in arrays], rows[:middle]),
            self._encode_or_halve([array.slice(middle) for array in arrays], rows[middle:]),
        ]
        return Encoded(
            [value for half in halves for value in half.values],
            [row for half in halves for row in half.rows],
            tuple(reject for half in halves for reject in half.rejects),
        )

    def _encode_or_halve(self, arrays: list[pa.Array], rows: list[int]) -> Encoded:
        try:
            return Encoded(self._encode(arrays), rows, ())
        except ValueError:
            return self._encode_in_halves(arrays, rows)

    def _encode_singly(self, arrays: list[pa.Array], rows: list[int]) -> Encoded:
        """Find the rows that the schema cannot hold; their batch-mates are encoded."""
        values: list[bytes] = []
        kept, rejects = [], []
        for index, row in enumerate(rows):
            try:
                values += self._encode([array.slice(index, 1) for array in arrays])
                kept.append(row)
            except ValueError as error:
                message = f"the prediction does not fit schemas.output: {error}"
                rejects.append(Reject(row, Stage.ENCODE, Reason.UNENCODABLE, message))
        return Encoded(values, kept, tuple(rejects))

    def _fill(self, name: str, fills: Mapping[str, Fill]) -> Fill:
        if name not in fills:
            known = ", ".join(sorted(fills))
            message = f"schemas.output has a field {name} that nothing fills: expected one of {known}"
            raise Stop(message)
        return fills[name]


def _check_copy(reader: pa.Schema, path: str, *, name: str, schema: pa.Schema) -> None:
    """Raise `Stop` when a field of the input can never become the prediction's field `name`."""
    if name not in schema.names:
        return
    found, wanted = path_type(reader, path), schema.field(name).type
    try:
        pa.nulls(0, found).cast(wanted)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        message = f"the input's {path} is {found}, which cannot become the prediction's {name}: expected {wanted}"
        raise Stop(message) from error


def key_column(name: str) -> str:
    """Return the name under which the decode step adds an event field that it read from the record key."""
    return f"key:{name}"


def _event_field(name: str, path: str | None) -> Fill:
    if path is None:
        return lambda batch: pa.nulls(len(batch.inferred.rows))
    if is_key_path(path):
        return lambda batch: batch.inferred.columns.column(key_column(name))
    return _copy(path)


def _copy(path: str) -> Fill:
    return lambda batch: column(batch.inferred.columns, path)


def _typed(array: pa.Array, field: pa.Field) -> pa.Array:
    """Return the array in its field's type; raises `ValueError` when a value does not fit it, `Stop` when none can."""
    if array.type == field.type:
        return array
    try:
        return array.cast(field.type)
    except pa.ArrowNotImplementedError as error:
        message = f"schemas.output has {field.name} as {field.type}, which {array.type} cannot become"
        raise Stop(message) from error


@lru_cache(maxsize=64)
def _constant(value: object, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), size)


def _moment_type(schema: pa.Schema) -> pa.DataType:
    """Return what `inferred_at` is before it is its field's: of its unit where that is a time, else microseconds.

    Raises `Stop` for a field that cannot hold it.
    """
    at = schema.get_field_index("inferred_at")
    found = schema.field(at).type if at >= 0 else pa.int64()
    if pa.types.is_timestamp(found):
        return found
    if not _holds_micros(found):
        message = f"schemas.output has inferred_at as {found}: expected a timestamp, or a long, double or string"
        raise Stop(message)
    return pa.int64()


def _holds_micros(kind: pa.DataType) -> bool:
    if pa.types.is_time(kind) or pa.types.is_boolean(kind):
        return False
    try:
        pa.array([SOME_MICROS]).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _moments(now_s: float, wanted: pa.DataType, rows: int) -> pa.Array:
    micros = int(now_s * PER_S["us"])
    ticks = micros * PER_S[wanted.unit] // PER_S["us"] if pa.types.is_timestamp(wanted) else micros
    # A scalar of a time is dearer to make than a column of numbers.
    return pa.array(np.full(rows, ticks)).view(wanted)


def _version(read: Callable[[_Batch], object]) -> Fill:
    return lambda batch: _constant(read(batch), len(batch.inferred.rows))


def _topics(batch: _Batch) -> pa.Array:
    records = batch.inferred.records
    if records.origins:
        return pa.array([origin.source.topic for origin in _origins(batch)])
    names = [run.source.topic for run in records.runs]
    if len(set(names)) == 1:
        return _constant(names[0], len(batch.inferred.rows))
    return pa.array(names).take(pa.array(_run_of_rows(batch)))


def _partitions(batch: _Batch) -> pa.Array:
    if batch.inferred.records.origins:
        return pa.array([origin.source.partition for origin in _origins(batch)], type=pa.int32())
    numbers = np.array([run.source.partition for run in batch.inferred.records.runs], dtype=np.int32)
    return pa.array(numbers[_run_of_rows(batch)])


def _run_of_rows(batch: _Batch) -> NDArray[np.intp]:
    return batch.inferred.records.run_numbers()[batch.inferred.rows]


def _origins(batch: _Batch) -> list[Place]:
    return [batch.inferred.records.origin(row) for row in batch.inferred.rows.tolist()]


def _offsets(batch: _Batch) -> pa.Array:
    if batch.inferred.records.origins:
        return pa.array([origin.offset for origin in _origins(batch)], type=pa.int64())
    return pa.array(batch.inferred.records.offsets[batch.inferred.rows])


def _score(read: Callable[[Scored], pa.Array]) -> Fill:
    return lambda batch: read(batch.scored)


_FILLS: Final[Mapping[str, Fill]] = {
    "model_name": _version(lambda batch: batch.inferred.served.version.name),
    "model_version": _version(lambda batch: batch.inferred.served.version.version),
    "model_digest": _version(lambda batch: batch.inferred.served.version.digest),
    "revision": _version(lambda batch: batch.inferred.served.revision),
    "variant": _version(lambda batch: batch.inferred.served.variant),
    "inferred_at": lambda batch: batch.inferred_at,
    "prediction": _score(Scored.prediction_column),
    "label": _score(Scored.label_column),
    "confidence": _score(Scored.confidence_column),
    "scores": _score(Scored.scores_column),
    "source_topic": _topics,
    "source_partition": _partitions,
    "source_offset": _offsets,
}
