"""Checks of freshly decoded columns for what the fast decoder does not look at.

Every field of the writer is checked, also one that nobody reads: whether a record is refused must not depend on which
decoder met it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stream_infer.avro.admission import MAX_DECIMAL_BYTES
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, MapOf, Primitive, Record, UnionOf, optional

Vet = Callable[[pa.Array], None]
"""Takes a column in wire types; raises `ValueError` when a row holds what the writer's type does not allow."""

_INT: Final = pa.int32()


def vets(types: Sequence[AvroType]) -> list[tuple[int, Vet]]:
    """Return the checks that columns of these types need, each with the number of its column."""
    found = ((at, vet(each)) for at, each in enumerate(types))
    return [(at, each) for at, each in found if each is not None]


def vet(avro_type: AvroType) -> Vet | None:  # noqa: PLR0911 -- a return for each Avro type
    """Return the check of one column, None where the decoder leaves nothing to check."""
    match optional(avro_type) or avro_type:
        case Primitive() as primitive:
            return _primitive(primitive)
        case Enum(symbols=symbols):
            return lambda array: _in_range(array, len(symbols))
        case ArrayOf(items=items):
            return _inside(vet(items))
        case MapOf(values=values):
            return _map(vet(values))
        case Record() as record:
            return _children([each.type for each in record.fields])
        case UnionOf() as union:
            return _children(union.branches)
        case _:
            return None


def _primitive(avro_type: Primitive) -> Vet | None:
    match avro_type.kind:
        case "int":
            return lambda array: array.cast(_INT)
        case "string":
            return lambda array: array.validate(full=True)
        case "bytes" if avro_type.logical == "decimal":
            return _decimal
        case _:
            return None


def _decimal(array: pa.Array) -> None:
    longest = pc.max(pc.binary_length(array.view(pa.binary()))).as_py() or 0
    if longest > MAX_DECIMAL_BYTES:
        raise ValueError(f"a decimal has {longest} bytes: expected at most {MAX_DECIMAL_BYTES}")


def _in_range(array: pa.Array, size: int) -> None:
    found = pc.min_max(array).as_py()
    if found["min"] is not None and not 0 <= found["min"] <= found["max"] < size:
        raise ValueError(f"symbol numbers reach from {found['min']} to {found['max']}: expected 0 to {size - 1}")


def _inside(check: Vet | None) -> Vet | None:
    return None if check is None else lambda array: check(array.values)


def _map(check: Vet | None) -> Vet:
    def vet_map(array: pa.Array) -> None:
        array.keys.validate(full=True)
        if check is not None:
            check(array.items)

    return vet_map


def _children(types: Sequence[AvroType]) -> Vet | None:
    checks = vets(types)

    def vet_children(array: pa.Array) -> None:
        for at, check in checks:
            check(array.field(at))

    return vet_children if checks else None
