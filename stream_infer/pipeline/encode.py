"""Encode: scores and their inputs to prediction records."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from stream_infer.avro import UNFIT, AvroSchema, Encoder, Field, holds_items, is_key_path, path_type, present, values_of
from stream_infer.errors import Reason, Reject, Stage, Stop
from stream_infer.model import Scored
from stream_infer.pipeline.fills import FILLS, Batch, Fill, copied, event_field, moment, repeated
from stream_infer.pipeline.infer import Inferred

INFERRED_AT: Final = "inferred_at"
FEW: Final = 8
"""Rows that are encoded one by one rather than halved once more."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Prediction bytes, one for each of `inferred.rows` that could be encoded, at `rows` of the batch."""

    values: Sequence[bytes]
    rows: list[int]
    rejects: tuple[Reject, ...]


class _Target:
    """One field of the prediction schema, and what fills it."""

    def __init__(self, field: Field, arrow: pa.Field, fill: Fill) -> None:
        self._arrow = arrow
        self._fill = fill
        self._to_python = values_of(field.type, field.name)
        self._values = fill.values if present(field.type) == fill.plain else None
        self._same = lru_cache(maxsize=64)(self._converted)

    def column(self, batch: Batch) -> pa.Array:
        """Return the field's column, not yet in its type."""
        return self._fill.column(batch)

    def values(self, batch: Batch) -> list[Any]:
        """Return the field's values as fastavro writes them; raises as `typed` does, and `UNFIT`."""
        if self._fill.constant is not None:
            return [self._same(self._fill.constant(batch))] * len(batch)
        found = self._values(batch) if self._values is not None else None
        return self._to_python(self.typed(self.column(batch))) if found is None else found

    def typed(self, array: pa.Array) -> pa.Array:
        """Return the array in the field's type; raises `ValueError` when a value does not fit, `Stop` when none can."""
        if array.type == self._arrow.type:
            return array
        try:
            return array.cast(self._arrow.type)
        except pa.ArrowNotImplementedError as error:
            message = f"schemas.output has {self._arrow.name} as {self._arrow.type}, which {array.type} cannot become"
            raise Stop(message) from error

    def _converted(self, value: object) -> object:
        return self._to_python(self.typed(repeated(value, 1)))[0]


class PredictionEncoder:
    """Builds the fields of the prediction schema and encodes them.

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
        self._encoder = encoder
        paths = {name: path for name, path in event_fields.items() if path is not None and not is_key_path(path)}
        for name, path in {**paths, **dict.fromkeys(passthrough)}.items():
            _check_copy(reader, path or name, name=name, schema=self._schema)
        fills = {**FILLS, **{name: event_field(name, path) for name, path in event_fields.items()}}
        clash = sorted({*fills, INFERRED_AT}.intersection(passthrough))
        if clash:
            message = f"schemas.passthrough names {clash[0]}, which is a prediction's own field: expected another field"
            raise Stop(message)
        fills.update({name: copied(name) for name in passthrough})
        self._targets = [_target(field, self._schema.field(field.name), fills) for field in schema.fields]
        # Whose items nobody counts before they are columns.
        self._has_items = any(holds_items(field.type) for field in schema.fields if field.name != "scores")

    def encode(self, inferred: Inferred, scored: Scored, *, now_s: float) -> Encoded:
        """Encode one batch and its scores; `now_s` is wall-clock seconds and becomes `inferred_at`."""
        batch, rows = Batch(inferred, scored, now_s), inferred.rows.tolist()
        if not self._has_items and self._encoder.prefers_values(len(rows), scored.scores.size):
            # What does not fit is found below.
            with suppress(ValueError, *UNFIT):
                return Encoded(self._encoder.encode_values([each.values(batch) for each in self._targets]), rows, ())
        return self._encode_or_halve([each.column(batch) for each in self._targets], rows)

    def _encode(self, arrays: list[pa.Array]) -> Sequence[bytes]:
        """Return the rows as bytes; raises `ValueError` when a value does not fit."""
        typed = [target.typed(array) for array, target in zip(arrays, self._targets, strict=True)]
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


def _target(field: Field, arrow: pa.Field, fills: Mapping[str, Fill]) -> _Target:
    if field.name == INFERRED_AT:
        return _Target(field, arrow, moment(arrow.type, present(field.type)))
    if field.name not in fills:
        known = ", ".join(sorted({*fills, INFERRED_AT}))
        message = f"schemas.output has a field {field.name} that nothing fills: expected one of {known}"
        raise Stop(message)
    return _Target(field, arrow, fills[field.name])


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
