"""Arrow columns from the values that fastavro returns, and from a schema's defaults."""

from collections.abc import Sequence
from decimal import Context, Decimal
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_infer.avro.arrow import arrow_schema, arrow_type, decimal_type, physical_type
from stream_infer.avro.match import kind
from stream_infer.avro.tree import ArrayOf, AvroType, Default, Enum, Fixed, MapOf, Primitive, Record, UnionOf, optional

_ANY_PRECISION: Final = Context(prec=200)
_PYTHON: Final[dict[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "bytes": (bytes,),
    "string": (str,),
    "enum": (str,),
    "fixed": (bytes,),
    "array": (list,),
    "map": (dict,),
    "record": (dict,),
}


def build(values: Sequence[Any], avro_type: AvroType) -> pa.Array:
    """Return values of one Avro type as a column of `arrow_type(avro_type)`.

    Values are what Avro's encoding holds: numbers for times, bytes for decimals; a field missing from a record is its
    default. Raises `ValueError` for values that the type cannot hold.
    """
    inner = optional(avro_type) or avro_type
    match inner:
        case Primitive() | Fixed():
            return _scalars(values, inner)
        case Enum():
            return pa.array(values, pa.string())
        case ArrayOf():
            items = build(list(chain.from_iterable(each for each in values if each is not None)), inner.items)
            return _offsets_over(values, inner, [items])
        case MapOf():
            return _maps(values, inner)
        case Record():
            return _structs(values, inner)
        case UnionOf():
            return _union(values, inner)


def batch(values: Sequence[Any], record: Record) -> pa.RecordBatch:
    """Return records as columns, one row each; raises as `build` does."""
    table = build(values, record)
    schema = arrow_schema(record)
    if not record.fields:
        return pa.RecordBatch.from_struct_array(table)
    return pa.RecordBatch.from_arrays([table.field(at) for at in range(len(schema))], schema=schema)


def default_value(avro_type: AvroType, json: Any) -> Any:  # noqa: PLR0911 -- a return for each Avro type
    """Return a default as `build` takes it; raises `ValueError` when it is no value of the type."""
    match avro_type:
        case UnionOf():
            fitting = [each for each in avro_type.branches if fits(json, each)]
            return default_value(fitting[0], json) if fitting else _misfit(json, avro_type)
        case _ if not fits(json, avro_type):
            return _misfit(json, avro_type)
        case Primitive(kind="bytes") | Fixed():
            return json.encode("latin-1")
        case Primitive(kind="float" | "double"):
            return float(json)
        case ArrayOf():
            return [default_value(avro_type.items, each) for each in json]
        case MapOf():
            return {key: default_value(avro_type.values, each) for key, each in json.items()}
        case Record():
            return {
                each.name: default_value(each.type, _given(json, each.name, each.default)) for each in avro_type.fields
            }
        case _:
            return json


def constant(avro_type: AvroType, value: Any, *, size: int) -> pa.Array:
    """Return a column of `size` rows that all hold `value`."""
    return build([value], avro_type).take(pa.array(np.zeros(size, np.int64)))


def fits(value: Any, avro_type: AvroType) -> bool:
    """Return whether a Python value, or a default's JSON, is of the type's kind."""
    wanted = _PYTHON["string" if isinstance(value, str) and kind(avro_type) in {"bytes", "fixed"} else kind(avro_type)]
    return isinstance(value, wanted) and (not isinstance(value, bool) or kind(avro_type) == "boolean")


def _misfit(json: Any, avro_type: AvroType) -> Any:
    raise ValueError(f"default {json!r} is no {kind(avro_type)}")


def _given(json: Any, name: str, default: Default | None) -> Any:
    if name in json:
        return json[name]
    if default is None:
        raise ValueError(f"default {json!r} lacks {name}")
    return default.json


def _scalars(values: Sequence[Any], avro_type: Primitive | Fixed) -> pa.Array:
    decimal = decimal_type(avro_type)
    if decimal is not None:
        return pa.array([_decimal(each, avro_type.scale) for each in values], decimal)
    if isinstance(avro_type, Fixed):
        return pa.array(values, pa.binary(avro_type.size))
    return pa.array(values, physical_type(avro_type)).cast(arrow_type(avro_type))


def _decimal(value: bytes | None, scale: int) -> Decimal | None:
    if value is None:
        return None
    return Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-scale, _ANY_PRECISION)


def _maps(values: Sequence[Any], avro_type: MapOf) -> pa.Array:
    present = [each for each in values if each is not None]
    keys = pa.array(list(chain.from_iterable(present)), pa.string())
    items = build(list(chain.from_iterable(each.values() for each in present)), avro_type.values)
    entry = arrow_type(avro_type)
    fields = [entry.key_field, entry.item_field]
    return _offsets_over(values, avro_type, [pa.StructArray.from_arrays([keys, items], fields=fields)])


def _offsets_over(values: Sequence[Any], avro_type: AvroType, inside: list[pa.Array]) -> pa.Array:
    sizes = (0 if each is None else len(each) for each in values)
    offsets = np.fromiter(accumulate(sizes, initial=0), np.int32, len(values) + 1)
    buffers = [_validity(values), pa.py_buffer(offsets)]
    return pa.Array.from_buffers(arrow_type(avro_type), len(values), buffers, children=inside)


def _structs(values: Sequence[Any], avro_type: Record) -> pa.Array:
    columns = [build(_column(values, each.name, each.type, each.default), each.type) for each in avro_type.fields]
    return pa.Array.from_buffers(arrow_type(avro_type), len(values), [_validity(values)], children=columns)


def _column(values: Sequence[Any], name: str, avro_type: AvroType, default: Default | None) -> list[Any]:
    if default is None:
        return [None if each is None else _present(each, name) for each in values]
    filled = default_value(avro_type, default.json)
    return [None if each is None else each.get(name, filled) for each in values]


def _present(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise ValueError(f"field {name} was not written and has no default")
    return value[name]


def _union(values: Sequence[Any], avro_type: UnionOf) -> pa.Array:
    """Return a sparse union: the branch of a value is the first that fits it, null where the record above is null."""
    chosen = [next((at for at, each in enumerate(avro_type.branches) if fits(value, each)), 0) for value in values]
    columns = [
        build([value if at == mine else None for value, mine in zip(values, chosen, strict=True)], each)
        for at, each in enumerate(avro_type.branches)
    ]
    names = [str(at) for at in range(len(columns))]
    return pa.UnionArray.from_sparse(pa.array(chosen, pa.int8()), columns, names)


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    if None not in values:
        return None
    return pa.array([each is not None for each in values], pa.bool_()).buffers()[1]
