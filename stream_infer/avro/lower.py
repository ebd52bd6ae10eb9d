"""Columns back to the wire types that the fast encoder writes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.arrow import decimal_type, physical_type
from stream_infer.avro.resolve import Step, nested, past_nulls
from stream_infer.avro.tree import NULL, ArrayOf, AvroType, Enum, MapOf, Primitive, Record, optional


def lowering(avro_type: AvroType, path: str) -> Step | None:
    """Return the step from a column of a type to the wire types of `columns`; None for a type that has none there.

    These are long for int and enum, text for bytes, numbers for times; fixed, decimals and unions of several types have
    none. The step raises `ValueError` for a null where the type has none and for text that is no symbol of an enum.
    `path` names the field in errors.
    """
    inner = optional(avro_type)
    step = _present(inner or avro_type, path)
    if step is None or inner is not None or avro_type == NULL:
        return step
    return lambda array: step(without_nulls(array, path))


def _present(avro_type: AvroType, path: str) -> Step | None:
    match avro_type:
        case Primitive():
            return None if decimal_type(avro_type) is not None else _primitive(avro_type)
        case Enum():
            return _symbols(avro_type, path)
        case ArrayOf(items=items):
            return _list(lowering(items, path))
        case MapOf(values=values):
            return _map(lowering(values, path))
        case Record():
            return _struct(avro_type, path)
        case _:
            return None


def without_nulls(array: pa.Array, path: str) -> pa.Array:
    """Return the array; raises `ValueError` when it has a null."""
    if array.null_count:
        raise ValueError(f"field {path} is null: expected a value in every row")
    return array


def _primitive(avro_type: Primitive) -> Step:
    match avro_type.kind:
        case "int":
            return lambda array: array.view(pa.int32()).cast(pa.int64())
        case "bytes":
            return lambda array: array.view(pa.string())
        case _:
            wanted = physical_type(avro_type)
            return lambda array: array if array.type == wanted else array.view(wanted)


def _symbols(avro_type: Enum, path: str) -> Step:
    symbols = pa.array(avro_type.symbols, pa.string())

    def step(array: pa.Array) -> pa.Array:
        numbers = pc.index_in(array, symbols, skip_nulls=True)
        if numbers.null_count != array.null_count:
            raise ValueError(f"field {path} holds text that is no symbol of {avro_type.name}")
        return numbers.cast(pa.int64())

    return step


def _list(items: Step | None) -> Step | None:
    if items is None:
        return None

    def step(array: pa.Array) -> pa.Array:
        array = _compact(array)
        values = items(array.values)
        return nested(array, pa.list_(values.type), [values])

    return step


def _compact(array: pa.Array) -> pa.Array:
    """Return a list or map array that owns exactly its values: those of a slice are still the whole array's."""
    whole = array.offset == 0 and array.offsets[len(array)].as_py() == len(array.values)
    return array if whole else array.take(pa.array(np.arange(len(array))))


def _map(values: Step | None) -> Step | None:
    if values is None:
        return None

    def step(array: pa.Array) -> pa.Array:
        array = _compact(array)
        items = values(array.items)
        wanted = pa.map_(pa.string(), items.type)
        fields = [wanted.key_field, wanted.item_field]
        return nested(array, wanted, [pa.StructArray.from_arrays([array.keys, items], fields=fields)])

    return step


def _struct(record: Record, path: str) -> Step | None:
    steps = [lowering(each.type, f"{path}.{each.name}") for each in record.fields]
    ready = [step for step in steps if step is not None]
    if len(ready) < len(steps) or not ready:
        return None
    names = [each.name for each in record.fields]

    def convert(array: pa.Array) -> pa.Array:
        inside = [step(array.field(at)) for at, step in enumerate(ready)]
        return pa.StructArray.from_arrays(inside, names=names)

    return lambda array: past_nulls(array, convert)
