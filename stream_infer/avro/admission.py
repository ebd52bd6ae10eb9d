"""Which schemas are let in: those with which a few bytes cannot exhaust memory, time or the stack.

Recursion, depth and the number of fields are refused where the tree is built (`parse`); the rest is refused
here. What a *message* may hold is checked in `check`.
"""

import re
from collections.abc import Iterable
from typing import Final

from stream_infer.avro.refusal import SchemaRefused
from stream_infer.avro.tree import (
    ArrayOf,
    AvroType,
    Enum,
    Fixed,
    MapOf,
    Primitive,
    Record,
    UnionOf,
    children,
)

MAX_DECIMAL_BYTES: Final = 64
MAX_DECIMAL_DIGITS: Final = 153
"""What 64 bytes always hold."""
MAX_FIXED_BYTES: Final = 16_777_216
MAX_CELLS_PER_BYTE: Final = 128
"""How many column cells one encoded byte may become: a null record in an array is one byte and a cell per field."""

_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_SIZES: Final = {"null": 0, "float": 4, "double": 8}


def admit(avro_type: AvroType) -> None:
    """Refuse a schema that a hostile message could use.

    Raises `SchemaRefused` for array items or map values that take no bytes or expand too far, an enum without
    symbols, what is no name, fixed types and decimals that are too long.
    """
    match avro_type:
        case ArrayOf(items=inner) | MapOf(values=inner):
            _admit_repeated(inner)
        case Enum():
            _admit_enum(avro_type)
        case Record():
            _admit_names([avro_type.name, *(each.name for each in avro_type.fields)])
        case Fixed():
            _admit_fixed(avro_type)
        case Primitive(logical="decimal") if avro_type.precision > MAX_DECIMAL_DIGITS:
            raise SchemaRefused(f"a decimal has {avro_type.precision} digits: expected at most {MAX_DECIMAL_DIGITS}")
    for child in children(avro_type):
        admit(child)


def _admit_enum(avro_type: Enum) -> None:
    if not avro_type.symbols or len(set(avro_type.symbols)) < len(avro_type.symbols):
        raise SchemaRefused(f"enum {avro_type.name} has no symbols, or one twice")
    _admit_names([avro_type.name, *avro_type.symbols])


def _admit_names(names: Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise SchemaRefused(f"{name!r} is no Avro name: expected letters, digits and _, parts joined by dots")


def _admit_fixed(avro_type: Fixed) -> None:
    _admit_names([avro_type.name])
    limit = MAX_DECIMAL_BYTES if avro_type.logical == "decimal" else MAX_FIXED_BYTES
    if not 0 <= avro_type.size <= limit:
        raise SchemaRefused(f"fixed {avro_type.name} has {avro_type.size} bytes: expected 0 to {limit}")
    if avro_type.precision > MAX_DECIMAL_DIGITS:
        raise SchemaRefused(f"a decimal has {avro_type.precision} digits: expected at most {MAX_DECIMAL_DIGITS}")


def _admit_repeated(inner: AvroType) -> None:
    size = min_size_bytes(inner)
    if size == 0:
        raise SchemaRefused("array items or map values take no bytes: expected types of one byte or more")
    if _cells(inner) > MAX_CELLS_PER_BYTE * size:
        raise SchemaRefused(
            f"array items or map values of {size} encoded bytes hold {_cells(inner)} fields: "
            f"expected at most {MAX_CELLS_PER_BYTE} a byte",
        )


def min_size_bytes(avro_type: AvroType) -> int:
    """Return the fewest bytes that a value of the type takes."""
    match avro_type:
        case Primitive():
            return _SIZES.get(avro_type.kind, 1)
        case Fixed():
            return avro_type.size
        case UnionOf():
            return 1 + min(map(min_size_bytes, avro_type.branches))
        case Record():
            return sum(min_size_bytes(each.type) for each in avro_type.fields)
        case _:
            return 1


def _cells(avro_type: AvroType) -> int:
    if isinstance(avro_type, ArrayOf | MapOf):
        return 1
    return 1 + sum(map(_cells, children(avro_type)))
