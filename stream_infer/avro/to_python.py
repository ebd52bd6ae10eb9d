"""Columns to the Python values that fastavro writes without logical types: the way of the reference encoder."""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.arrow import decimal_type, physical_type
from stream_infer.avro.lower import without_nulls
from stream_infer.avro.tree import NULL, ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf, optional

Values = Callable[[pa.Array], list[Any]]
"""Returns the values of a column; raises `ValueError` when one does not fit its type."""

Rows = Callable[[Sequence[pa.Array], int], list[dict[str, Any]]]
"""Returns the rows of a record, so many, whose columns these are; raises as `Values` does."""

_ANY_PRECISION: Final = Context(prec=200)


def values_of(avro_type: AvroType, path: str) -> Values:
    """Return how the values of a column of a type are had.

    It raises `ValueError` for a null where the type has none, of which fastavro makes a value of its own, and for text
    that is no symbol of an enum. `path` names the field in errors.
    """
    inner = optional(avro_type)
    values = _present(inner or avro_type, path)
    if inner is not None:
        return lambda array: _past_nulls(array, values)
    return values if avro_type == NULL else lambda array: values(without_nulls(array, path))


def _past_nulls(array: pa.Array, values: Values) -> list[Any]:
    if not array.null_count:
        return values(array)
    if array.null_count == len(array):
        return [None] * len(array)
    found = iter(values(array.drop_null()))
    return [next(found) if valid else None for valid in array.is_valid().to_pylist()]


def _present(avro_type: AvroType, path: str) -> Values:
    match avro_type:
        case Primitive() | Fixed():
            return _scalars(avro_type)
        case Enum():
            return _symbols(avro_type, path)
        case ArrayOf(items=items):
            return _lists(values_of(items, path))
        case MapOf(values=values):
            return _maps(values_of(values, path))
        case Record():
            return _records(avro_type, path)
        case UnionOf():
            return _union(avro_type, path)


def _scalars(avro_type: Primitive | Fixed) -> Values:
    if decimal_type(avro_type) is not None:
        size = avro_type.size if isinstance(avro_type, Fixed) else None
        return lambda array: [_unscaled(each, avro_type.scale, size) for each in array.to_pylist()]
    if isinstance(avro_type, Fixed):
        return lambda array: list(array.to_pylist())
    wanted = physical_type(avro_type)
    return lambda array: list((array if array.type == wanted else array.view(wanted)).to_pylist())


def _unscaled(value: Decimal, scale: int, size: int | None) -> bytes:
    number = int(value.scaleb(scale, _ANY_PRECISION))
    return number.to_bytes(size or number.bit_length() // 8 + 1, "big", signed=True)


def _symbols(avro_type: Enum, path: str) -> Values:
    known = frozenset(avro_type.symbols)

    def values(array: pa.Array) -> list[Any]:
        names = list(array.to_pylist())
        if not known.issuperset(names):
            raise ValueError(f"field {path} holds text that is no symbol of {avro_type.name}")
        return names

    return values


def _lists(items: Values) -> Values:
    def values(array: pa.Array) -> list[Any]:
        spans, start, size = _spans(array)
        inside = items(array.values.slice(start, size))
        return [inside[span] for span in spans]

    return values


def _maps(items: Values) -> Values:
    """Of a key that a map has twice the last value stays, which is the one that readers take."""

    def values(array: pa.Array) -> list[Any]:
        spans, start, size = _spans(array)
        pairs = list(zip(array.keys.slice(start, size).to_pylist(), items(array.items.slice(start, size)), strict=True))
        return [dict(pairs[span]) for span in spans]

    return values


def _spans(array: pa.Array) -> tuple[list[slice], int, int]:
    """Return where the items of each list are, from `start` on in those of all, of which so many are this array's."""
    offsets = array.offsets.to_pylist()
    start = offsets[0]
    return [slice(a - start, b - start) for a, b in pairwise(offsets)], start, offsets[-1] - start


def _records(record: Record, path: str) -> Values:
    rows = rows_of(record, path)
    return lambda array: rows([array.field(at) for at in range(array.type.num_fields)], len(array))


def rows_of(record: Record, path: str) -> Rows:
    """Return how the rows of a record's columns are had; see `values_of`."""
    names = [each.name for each in record.fields]
    fields = [values_of(each.type, f"{path}.{each.name}" if path else each.name) for each in record.fields]

    def rows(columns: Sequence[pa.Array], count: int) -> list[dict[str, Any]]:
        found = [field(column) for field, column in zip(fields, columns, strict=True)]
        values = zip(*found, strict=True) if found else ((),) * count
        return [dict(zip(names, row, strict=True)) for row in values]

    return rows


def _codes(array: pa.Array) -> pa.Array:
    """Return which branch each row is of; `type_codes` of a slice begin with those of the whole array."""
    return pa.Array.from_buffers(pa.int8(), len(array), [None, array.buffers()[1]], offset=array.offset)


def _union(union: UnionOf, path: str) -> Values:
    branches = [values_of(each, path) for each in union.branches]

    def values(array: pa.Array) -> list[Any]:
        codes = _codes(array)
        found = [
            iter(branch(array.field(at).filter(pc.equal(codes, pa.scalar(at, codes.type)))))
            for at, branch in enumerate(branches)
        ]
        return [next(found[code]) for code in codes.to_pylist()]

    return values
