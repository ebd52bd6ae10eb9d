"""Encode: columns in a schema's fields to framed Avro records."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyruhvro
from fastavro import parse_schema, schemaless_writer

from stream_infer.avro.agreement import sample_bodies
from stream_infer.avro.columns import Wire, is_panic
from stream_infer.avro.framing import SINGLE_OBJECT_MARKER, OutputFormat, confluent_frame, single_object_frame
from stream_infer.avro.lower import lowering
from stream_infer.avro.resolve import Step
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.schemas import AvroSchema
from stream_infer.avro.spell import Plain
from stream_infer.avro.to_python import rows_of
from stream_infer.avro.tree import ArrayOf, AvroType, MapOf, Record, present
from stream_infer.errors import WrongUse
from stream_infer.packed import Packed

log = logging.getLogger(__name__)

FEW_ROWS: Final = 16
FEW_ITEMS: Final = 160
"""Rows, and items in arrays, up to which the reference encoder is as fast: the other waits for a thread of its own."""
UNFIT: Final = (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowCapacityError, OverflowError)
"""What Arrow and Python raise besides `ValueError` for a value that does not fit its field."""
_MARKER_AS_LONG: Final = -98
"""The long that Avro encodes as C3 01."""


class Encoder:
    """Encodes columns as records of one schema, each behind the frame of the output format.

    `schema_id` is the registered id, which the confluent format needs. Raises `WrongUse` without it and
    `SchemaRefused` for a schema that is no record.
    """

    def __init__(self, schema: AvroSchema, *, output_format: OutputFormat, schema_id: int | None = None) -> None:
        frame = _frame(schema, output_format, schema_id)
        self._rows = RowEncoder(schema.record, frame=frame)
        fast = fast_encoder(schema.record, frame=frame)
        self._arrays = [at for at, each in enumerate(schema.fields) if holds_items(each.type)]
        self._few_rows = 0 if any(_has_arrays_inside(each.type) for each in schema.fields) else FEW_ROWS
        self._fast = fast if fast is not None and _agree(schema, fast, self._rows) else None
        if self._fast is None:
            log.warning(
                "schema %s is encoded record by record: the fast encoder cannot write all its types", schema.name
            )

    @property
    def is_fast(self) -> bool:
        """Return whether batches of more than a few rows are encoded at once."""
        return self._fast is not None

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        """Return one framed record per row; `columns` are in the schema's field order and Arrow types.

        Raises `ValueError` when a value does not fit its field; nothing is encoded then.
        """
        try:
            return self._encoder_for(columns).encode(columns)
        except UNFIT as error:
            raise ValueError(str(error)) from error

    def prefers_values(self, rows: int, items: int) -> bool:
        """Return whether so many rows, with so many items in arrays, are encoded sooner by `encode_values`."""
        most = FEW_ROWS if self._fast is None else self._few_rows
        return rows <= most and items <= FEW_ITEMS

    def encode_values(self, fields: Sequence[list[Any]]) -> list[bytes]:
        """Return one framed record per row; `fields` are in the schema's order, as `values_of` makes them of columns.

        Raises `ValueError` when a value does not fit its field; nothing is encoded then.
        """
        return self._rows.encode_values(fields)

    def _encoder_for(self, columns: pa.RecordBatch) -> "RowEncoder | FastEncoder":
        if self._fast is None:
            return self._rows
        if columns.num_rows > self._few_rows or sum(_items(columns.column(at)) for at in self._arrays) > FEW_ITEMS:
            return self._fast
        return self._rows


class RowEncoder:
    """The reference encoder: fastavro, record by record."""

    def __init__(self, record: Record, *, frame: bytes) -> None:
        self._names = [each.name for each in record.fields]
        self._rows = rows_of(record, "")
        self._frame = frame
        self._schema = parse_schema(Plain().spell(record))

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """Return one framed record per row; raises `ValueError` when a value does not fit its field."""
        return [self._encoded(each) for each in self._rows(columns.columns, columns.num_rows)]

    def encode_values(self, fields: Sequence[list[Any]]) -> list[bytes]:
        """Return one framed record per row of Python values; raises as `encode` does."""
        names = self._names
        return [self._encoded(dict(zip(names, row, strict=True))) for row in zip(*fields, strict=True)]

    def _encoded(self, value: object) -> bytes:
        buffer = BytesIO()
        buffer.write(self._frame)
        try:
            schemaless_writer(buffer, self._schema, value)
        except (TypeError, OverflowError, KeyError) as error:
            raise ValueError(f"a record does not fit its schema: {error}") from error
        return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class _FrameField:
    """One constant column whose encoding is a part of the frame."""

    kind: str
    value: pa.Scalar


class FastEncoder:
    """pyruhvro over a whole batch; the frame is written by constant columns in front, at no copy per record."""

    def __init__(self, record: Record, *, frame: bytes, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._frame = _frame_fields(frame)
        wire = Wire()
        fields = {f"h{at}": each.kind for at, each in enumerate(self._frame)}
        fields |= {f"f{at}": wire.spell(each.type) for at, each in enumerate(record.fields)}
        self._names = list(fields)
        self._wire = json.dumps(wire.record(fields))

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        """Return one framed record per row; raises `ValueError` when a value does not fit its field."""
        frame = [pa.repeat(each.value, columns.num_rows) for each in self._frame]
        body = [step(columns.column(at)) for at, step in enumerate(self._steps)]
        wire = pa.RecordBatch.from_arrays([*frame, *body], names=self._names)
        return Packed(self._write(wire)) if columns.num_rows else []

    def _write(self, wire: pa.RecordBatch) -> pa.Array:
        try:
            return pyruhvro.serialize_record_batch(wire, self._wire, 1)[0]
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ValueError(f"the fast encoder panicked: {error}") from error


def fast_encoder(record: Record, *, frame: bytes) -> FastEncoder | None:
    """Return the fast encoder for a schema, or None when it has a type that the fast encoder cannot write."""
    steps = [lowering(each.type, each.name) for each in record.fields]
    ready = [step for step in steps if step is not None]
    return FastEncoder(record, frame=frame, steps=ready) if ready and len(ready) == len(steps) else None


def _frame(schema: AvroSchema, output_format: OutputFormat, schema_id: int | None) -> bytes:
    if output_format == "single_object":
        return single_object_frame(schema.fingerprint)
    if output_format == "raw":
        return b""
    if schema_id is None:
        raise WrongUse("schemas.output_format is confluent, but the output schema has no registered id")
    return confluent_frame(schema_id)


def _frame_fields(frame: bytes) -> list[_FrameField]:
    """Return columns whose Avro encoding is the frame: a double is its eight bytes, a float four, false one zero."""
    if not frame:
        return []
    if frame.startswith(SINGLE_OBJECT_MARKER):
        number = float(np.frombuffer(frame[2:], "<f8")[0])
        return [_FrameField("long", pa.scalar(_MARKER_AS_LONG)), _FrameField("double", pa.scalar(number))]
    schema_id = pa.array(np.frombuffer(frame[1:], "<f4"))[0]
    return [_FrameField("boolean", pa.scalar(value=False)), _FrameField("float", schema_id)]


def holds_items(avro_type: AvroType) -> bool:
    """Return whether a type is a list or a map, which may be null."""
    return isinstance(present(avro_type), ArrayOf | MapOf)


def _has_arrays_inside(avro_type: AvroType) -> bool:
    """Return whether a type has arrays further down, whose items nobody counts for each batch."""
    match present(avro_type):
        case ArrayOf(items=inner) | MapOf(values=inner):
            return holds_items(inner) or _has_arrays_inside(inner)
        case Record() as record:
            return any(holds_items(each.type) or _has_arrays_inside(each.type) for each in record.fields)
        case _:
            return False


def _items(array: pa.Array) -> int:
    """Return how many items the lists or maps of a column have together."""
    offsets = array.offsets
    return int(offsets[-1].as_py() - offsets[0].as_py()) if len(array) else 0


def _agree(schema: AvroSchema, fast: FastEncoder, rows: RowEncoder) -> bool:
    """Return whether both encoders write the same bytes for samples of the schema."""
    columns = RowDecoder(schema.record, schema.record).decode(sample_bodies(schema.record)).columns
    return _try(fast, columns) == rows.encode(columns)


def _try(fast: FastEncoder, columns: pa.RecordBatch) -> Sequence[bytes] | None:
    try:
        return fast.encode(columns)
    except (ValueError, *UNFIT):
        return None
