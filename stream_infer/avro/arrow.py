"""Avro types as Arrow types, and fields of columns by path."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.tree import (
    NULL,
    ArrayOf,
    AvroType,
    Enum,
    Fixed,
    MapOf,
    Primitive,
    Record,
    UnionOf,
    optional,
)
from stream_infer.errors import WrongUse

_PHYSICAL: Final = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL: Final = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", tz="UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", tz="UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", tz="UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
_MAX_DECIMAL128: Final = 38
_MAX_DECIMAL256: Final = 76


def arrow_schema(record: Record) -> pa.Schema:
    """Return the columns of a record: one for each field, nullable where null is one of its types."""
    return pa.schema(
        [pa.field(each.name, arrow_type(each.type), nullable=_nullable(each.type)) for each in record.fields]
    )


def arrow_type(avro_type: AvroType) -> pa.DataType:  # noqa: PLR0911 -- a return for each Avro type
    """Return the Arrow type that holds values of an Avro type.

    Enums are text, instants are UTC, a union of null and T is T, a union of several types is a sparse union, a decimal
    too long for Arrow is its bytes.
    """
    inner = optional(avro_type)
    if inner is not None:
        return arrow_type(inner)
    match avro_type:
        case Primitive():
            return _primitive(avro_type)
        case Fixed():
            return decimal_type(avro_type) or pa.binary(avro_type.size)
        case Enum():
            return pa.string()
        case ArrayOf():
            return pa.list_(arrow_type(avro_type.items))
        case MapOf():
            return pa.map_(pa.string(), arrow_type(avro_type.values))
        case Record():
            return pa.struct([(each.name, arrow_type(each.type)) for each in avro_type.fields])
        case UnionOf():
            return pa.sparse_union([pa.field(str(i), arrow_type(each)) for i, each in enumerate(avro_type.branches)])


def physical_type(avro_type: Primitive) -> pa.DataType:
    """Return the Arrow type of the primitive below any logical type."""
    return _PHYSICAL[avro_type.kind]


def decimal_type(avro_type: Primitive | Fixed) -> pa.DataType | None:
    """Return the Arrow decimal for a decimal that fits one, else None."""
    if avro_type.logical != "decimal" or avro_type.precision > _MAX_DECIMAL256:
        return None
    if avro_type.precision > _MAX_DECIMAL128:
        return pa.decimal256(avro_type.precision, avro_type.scale)
    return pa.decimal128(avro_type.precision, avro_type.scale)


def column(columns: pa.RecordBatch, path: str) -> pa.Array:
    """Return the column at a dotted path that is there (see `path_type`); a null record on the way makes null."""
    name, _, rest = path.partition(".")
    array = columns.column(name)
    return pc.struct_field(array, rest.split(".")) if rest else array


def path_type(schema: pa.Schema, path: str) -> pa.DataType:
    """Return the type of the field at a dotted path; raises `WrongUse` when there is no such field."""
    names, found = list(schema.names), None
    fields = {each.name: each.type for each in schema}
    for name in path.split("."):
        if name not in fields:
            raise WrongUse(f"there is no field {path!r} in the input: expected one of {', '.join(names)}")
        found = fields[name]
        fields = {each.name: each.type for each in found} if pa.types.is_struct(found) else {}
        names = list(fields) or ["no further name"]
    return found


def _nullable(avro_type: AvroType) -> bool:
    return avro_type == NULL or (isinstance(avro_type, UnionOf) and avro_type.nullable)


def _primitive(avro_type: Primitive) -> pa.DataType:
    if avro_type.kind == "bytes":
        return decimal_type(avro_type) or pa.binary()
    return _LOGICAL.get((avro_type.kind, avro_type.logical or ""), _PHYSICAL[avro_type.kind])
