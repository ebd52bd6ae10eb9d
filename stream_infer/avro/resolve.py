"""Columns in the writer's encoding to columns in the reader's types: a plan per pair of schemas, made once.

The plan is a step for each field, or None where a rule needs to look at single values (unions of several types, fixed,
decimals): records of such a writer are decoded row by row.
"""

from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.arrow import arrow_type, decimal_type
from stream_infer.avro.build import constant, default_value
from stream_infer.avro.match import PROMOTIONS, branches, kind, logical_conflict, reader_branch, writer_field
from stream_infer.avro.refusal import Incompatible
from stream_infer.avro.tree import (
    NULL,
    ArrayOf,
    AvroType,
    Enum,
    Field,
    Fixed,
    MapOf,
    Primitive,
    Record,
    UnionOf,
    optional,
)

Step = Callable[[pa.Array], pa.Array]
"""Takes a column in wire types (`columns.wire`); raises `ValueError` when a row cannot be converted."""

_NUMBERS: Final = {"int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64()}


def plan(writer: AvroType, reader: AvroType, path: str) -> Step | None:  # noqa: PLR0911 -- a return for each Avro type
    """Return the step from the writer's type to the reader's, or None when only row by row will do.

    `path` names the field in errors. Raises `Incompatible` when no value of the writer's type fits the reader's.
    """
    if isinstance(writer, UnionOf) or isinstance(reader, UnionOf):
        return _union(writer, reader, path)
    match writer, reader:
        case Record(), Record():
            return _record(writer, reader, path)
        case ArrayOf(items=w), ArrayOf(items=r):
            step = plan(w, r, path)
            return None if step is None else _list_step(step, arrow_type(reader))
        case MapOf(values=w), MapOf(values=r):
            step = plan(w, r, path)
            return None if step is None else _map_step(step, arrow_type(reader))
        case Enum(), Enum():
            return _enum(writer, reader)
        case Fixed(), Fixed() if writer.size == reader.size and not logical_conflict(writer, reader):
            return None
        case Primitive(), Primitive() if not logical_conflict(writer, reader):
            return _primitive(writer, reader, path)
    raise _mismatch(writer, reader, path)


def _mismatch(writer: AvroType, reader: AvroType, path: str) -> Incompatible:
    words = [" ".join(filter(None, (kind(each), getattr(each, "logical", None)))) for each in (writer, reader)]
    return Incompatible(f"{path} is {words[0]} in the writer schema: expected {words[1]} or what promotes to it")


def _union(writer: AvroType, reader: AvroType, path: str) -> Step | None:
    inner, wanted = optional(writer), optional(reader)
    if inner is not None and wanted is not None:
        return plan(inner, wanted, path)
    if inner is not None and not isinstance(reader, UnionOf):
        step = plan(inner, reader, path)
        return None if step is None else lambda array: step(_without_nulls(array, path))
    if wanted is not None and not isinstance(writer, UnionOf):
        return _nulls(reader) if writer == NULL else plan(writer, wanted, path)
    _some_branch_fits(writer, reader, path)
    return None


def _some_branch_fits(writer: AvroType, reader: AvroType, path: str) -> None:
    """Raise `Incompatible` unless a branch of the writer has one in the reader; which values do is a row's matter."""
    for each in branches(writer):
        wanted = reader_branch(each, branches(reader))
        if wanted is not None:
            try:
                plan(each, wanted, path)
            except Incompatible:
                continue
            return
    raise _mismatch(writer, reader, path)


def _nulls(reader: AvroType) -> Step:
    return lambda array: pa.nulls(len(array), arrow_type(reader))


def _without_nulls(array: pa.Array, path: str) -> pa.Array:
    if array.null_count:
        raise ValueError(f"{path} is null in {array.null_count} rows: the reader schema has no null there")
    return array


def _primitive(writer: Primitive, reader: Primitive, path: str) -> Step | None:
    if writer.kind != reader.kind and reader.kind not in PROMOTIONS.get(writer.kind, ()):
        raise _mismatch(writer, reader, path)
    if decimal_type(reader) is not None:
        return None
    if writer.kind in _NUMBERS:
        return _number_step(writer, reader)
    if writer.kind == "bytes" and reader.kind == "string":
        return _text
    if reader.kind == "bytes":
        return lambda array: array.view(pa.binary())
    return lambda array: array


def _number_step(writer: Primitive, reader: Primitive) -> Step:
    """Widen, then read the number as what the reader calls it; wire columns hold int as long."""
    through = [_NUMBERS[writer.kind]]
    if writer.kind in {"int", "long"} and reader.kind == "float":
        # By way of double, as the reference decoder goes: a long is rounded once more than in a direct conversion.
        through.append(pa.float64())
    through.append(_NUMBERS[reader.kind])
    named = arrow_type(reader)

    def step(array: pa.Array) -> pa.Array:
        for wanted in through:
            if array.type != wanted:
                array = array.cast(wanted, safe=not pa.types.is_floating(wanted))
        return array if array.type == named else array.view(named)

    return step


def _text(array: pa.Array) -> pa.Array:
    array.validate(full=True)  # bytes that become text were never checked as text
    return array


def _enum(writer: Enum, reader: Enum) -> Step:
    known = [each if each in reader.symbols else reader.default for each in writer.symbols]
    symbols = pa.array(known, pa.string())

    def step(array: pa.Array) -> pa.Array:
        names = symbols.take(array)
        if names.null_count != array.null_count:
            raise ValueError(f"a symbol of {writer.name} is not in the reader's {reader.name}, which has no default")
        return names

    return step


def _list_step(items: Step, wanted: pa.DataType) -> Step:
    def step(array: pa.Array) -> pa.Array:
        inside = array.values
        values = items(inside)
        return array if values is inside and array.type == wanted else nested(array, wanted, [values])

    return step


def _map_step(values: Step, wanted: pa.DataType) -> Step:
    def step(array: pa.Array) -> pa.Array:
        fields = [wanted.key_field, wanted.item_field]
        entries = pa.StructArray.from_arrays([array.keys, values(array.items)], fields=fields)
        return nested(array, wanted, [entries])

    return step


def nested(array: pa.Array, wanted: pa.DataType, inside: list[pa.Array]) -> pa.Array:
    """Return the array with the same nulls and offsets around other values."""
    own = array.buffers()[: wanted.num_buffers]
    return pa.Array.from_buffers(wanted, len(array), own, null_count=array.null_count, children=inside)


def _record(writer: Record, reader: Record, path: str) -> Step | None:
    steps = field_steps(writer, reader, path)
    if not writer.fields or not all(steps):
        return None
    wanted = arrow_type(reader)

    def convert(array: pa.Array) -> pa.Array:
        inside = [step(array) for step in steps if step is not None]
        return pa.Array.from_buffers(wanted, len(array), [None], children=inside)

    return lambda array: past_nulls(array, convert)


def past_nulls(array: pa.Array, convert: Step) -> pa.Array:
    """Convert only the records that are there: below a null one, every field is null."""
    if not array.null_count:
        return convert(array)
    present = array.is_valid()
    places = pc.cumulative_sum(present.cast(pa.int32()))
    index = pc.if_else(present, pc.subtract(places, 1), None)
    return convert(array.drop_null()).take(index)


def field_steps(writer: Record, reader: Record, path: str) -> list[Step | None]:
    """Return the steps from a record's columns (a struct array) to each field of the reader.

    Raises `Incompatible` when the writer lacks a field that has no default, or two fields claim one of the writer's.
    """
    claimed = [found.name for found in (writer_field(writer, each) for each in reader.fields) if found is not None]
    twice = [name for name in claimed if claimed.count(name) > 1]
    if twice:
        raise Incompatible(f"two fields of {reader.name} claim the writer's field {twice[0]}: expected one")
    return [_field_step(writer, each, path) for each in reader.fields]


def _field_step(writer: Record, wanted: Field, path: str) -> Step | None:
    path = f"{path}.{wanted.name}" if path else f"field {wanted.name}"
    found = writer_field(writer, wanted)
    if found is None:
        return _default_step(wanted, path)
    step = plan(found.type, wanted.type, path)
    at = writer.fields.index(found)
    return None if step is None else lambda array: step(array.field(at))


def _default_step(wanted: Field, path: str) -> Step:
    if wanted.default is None:
        raise Incompatible(f"{path} is not in the writer schema: expected it there, or a default in the reader schema")
    try:
        value = default_value(wanted.type, wanted.default.json)
        constant(wanted.type, value, size=1)
    except (ValueError, pa.ArrowException) as error:
        raise Incompatible(f"{path} has a default that does not fit its type: {error}") from error
    return lambda array: constant(wanted.type, value, size=len(array))
