"""Columns back to what Avro's encoding holds: arrays for the fast encoder, Python values for the reference."""

from decimal import Context, Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.arrow import decimal_type, physical_type
from stream_infer.avro.resolve import nested, past_nulls
from stream_infer.avro.tree import NULL, ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf, optional

_ANY_PRECISION: Final = Context(prec=200)


def lower(array: pa.Array, avro_type: AvroType, path: str) -> pa.Array:
    """Return a column in the wire types of `columns`: long for int and enum, text for bytes, numbers for times.

    Raises `ValueError` for a null where the type has none and for text that is no symbol of an enum. `path` names the
    field in errors.
    """
    inner = optional(avro_type)
    if inner is None and avro_type != NULL and array.null_count:
        raise ValueError(f"field {path} is null: expected a value in every row")
    match inner or avro_type:
        case Primitive() as primitive:
            return _primitive(array, primitive)
        case Enum() as enum:
            return _symbols(array, enum, path)
        case ArrayOf(items=items):
            array = _compact(array)
            values = lower(array.values, items, path)
            return nested(array, pa.list_(values.type), [values])
        case MapOf(values=values_type):
            return _map(_compact(array), values_type, path)
        case Record() as record:
            return past_nulls(array, lambda present: _struct(present, record, path))
    raise TypeError(f"field {path} has no wire columns")


def is_lowerable(avro_type: AvroType) -> bool:
    """Return whether `lower` has wire columns for a type: not for fixed, decimals and unions of several types."""
    match optional(avro_type) or avro_type:
        case Primitive() as primitive:
            return decimal_type(primitive) is None
        case ArrayOf(items=inner) | MapOf(values=inner):
            return is_lowerable(inner)
        case Record() as record:
            return bool(record.fields) and all(is_lowerable(each.type) for each in record.fields)
        case other:
            return isinstance(other, Enum)


def _primitive(array: pa.Array, avro_type: Primitive) -> pa.Array:
    match avro_type.kind:
        case "int":
            return array.cast(pa.int32()).cast(pa.int64())
        case "bytes":
            return array.view(pa.string())
        case _:
            return array if array.type == physical_type(avro_type) else array.cast(physical_type(avro_type))


def _symbols(array: pa.Array, avro_type: Enum, path: str) -> pa.Array:
    numbers = pc.index_in(array, pa.array(avro_type.symbols, pa.string()), skip_nulls=True)
    if numbers.null_count != array.null_count:
        raise ValueError(f"field {path} holds text that is no symbol of {avro_type.name}")
    return numbers.cast(pa.int64())


def _compact(array: pa.Array) -> pa.Array:
    """Return a list or map array that owns exactly its values: those of a slice are still the whole array's."""
    whole = array.offset == 0 and array.offsets[len(array)].as_py() == len(array.values)
    return array if whole else array.take(pa.array(np.arange(len(array))))


def _map(array: pa.Array, values_type: AvroType, path: str) -> pa.Array:
    items = lower(array.items, values_type, path)
    wanted = pa.map_(pa.string(), items.type)
    fields = [wanted.key_field, wanted.item_field]
    return nested(array, wanted, [pa.StructArray.from_arrays([array.keys, items], fields=fields)])


def _struct(array: pa.Array, record: Record, path: str) -> pa.Array:
    inside = [lower(array.field(at), each.type, f"{path}.{each.name}") for at, each in enumerate(record.fields)]
    names = [each.name for each in record.fields]
    return pa.StructArray.from_arrays(inside, names=names)


def python_values(array: pa.Array, avro_type: AvroType) -> list[Any]:
    """Return the values of a column as fastavro writes them without logical types."""
    match optional(avro_type) or avro_type:
        case (Primitive() | Fixed()) as scalar:
            return _scalars(array, scalar)
        case ArrayOf(items=items):
            return [None if each is None else python_values(each, items) for each in _each(array)]
        case MapOf(values=values):
            return [None if each is None else _entries(each, values) for each in _each(array)]
        case Record() as record:
            return _records(array, record)
        case UnionOf() as union:
            columns = [python_values(array.field(at), each) for at, each in enumerate(union.branches)]
            return [columns[code][row] for row, code in enumerate(array.type_codes.to_pylist())]
        case _:
            return list(array.to_pylist())


def _each(array: pa.Array) -> list[Any]:
    return [scalar.values if scalar.is_valid else None for scalar in array]


def _entries(entries: pa.Array, values: AvroType) -> dict[str, Any]:
    return dict(zip(entries.field(0).to_pylist(), python_values(entries.field(1), values), strict=True))


def _records(array: pa.Array, record: Record) -> list[Any]:
    columns = [python_values(array.field(at), each.type) for at, each in enumerate(record.fields)]
    names = [each.name for each in record.fields]
    return [
        {name: column[row] for name, column in zip(names, columns, strict=True)} if valid else None
        for row, valid in enumerate(array.is_valid().to_pylist())
    ]


def _scalars(array: pa.Array, avro_type: Primitive | Fixed) -> list[Any]:
    if decimal_type(avro_type) is not None:
        size = avro_type.size if isinstance(avro_type, Fixed) else None
        return [None if each is None else _unscaled(each, avro_type.scale, size) for each in array.to_pylist()]
    if isinstance(avro_type, Fixed):
        return list(array.to_pylist())
    return list(array.cast(physical_type(avro_type)).to_pylist())


def _unscaled(value: Decimal, scale: int, size: int | None) -> bytes:
    number = int(value.scaleb(scale, _ANY_PRECISION))
    return number.to_bytes(size or number.bit_length() // 8 + 1, "big", signed=True)
