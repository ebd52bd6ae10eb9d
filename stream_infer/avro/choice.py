"""Part of a record: what some dotted paths lead to, and JSON objects without the rest."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from stream_infer.avro.tree import AvroType, Field, Record, UnionOf


def choose(record: Record, paths: Iterable[str]) -> Record:
    """Return the record with only the fields that dotted paths lead to, in its own order; a field is whole or chosen.

    A path that leads nowhere adds nothing.
    """
    below: dict[str, set[str]] = {}
    for path in paths:
        first, _, rest = path.partition(".")
        below.setdefault(first, set()).add(rest)
    return Record(record.name, tuple(_inside(one, below[one.name]) for one in record.fields if one.name in below))


def left_out(value: Any, chosen: Record, whole: Record) -> Any:
    """Return a decoded JSON value without the fields of `whole` that `chosen` leaves out; what neither has stays."""
    if not isinstance(value, dict):
        return value
    kept = {field.name: field.type for field in chosen.fields}
    known = {field.name: field.type for field in whole.fields}
    return {
        name: _left_out(inner, kept[name], known[name]) if name in kept else inner
        for name, inner in value.items()
        if name in kept or name not in known
    }


def _left_out(value: Any, chosen: AvroType, whole: AvroType) -> Any:
    if chosen == whole:
        return value
    inner, outer = record_in(chosen), record_in(whole)
    return left_out(value, inner, outer) if inner and outer else value


def record_in(avro_type: AvroType) -> Record | None:
    """Return the type if it is a record, the record of a union that has one branch besides null, else None."""
    if isinstance(avro_type, UnionOf) and len(avro_type.present) == 1:
        return record_in(avro_type.present[0])
    return avro_type if isinstance(avro_type, Record) else None


def _inside(field: Field, rests: set[str]) -> Field:
    record = record_in(field.type)
    if record is None or "" in rests:
        return field
    chosen = choose(record, rests)
    if isinstance(field.type, UnionOf):
        return replace(field, type=UnionOf(tuple(chosen if one == record else one for one in field.type.branches)))
    return replace(field, type=chosen)
