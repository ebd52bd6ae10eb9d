"""A strict walk over encoded bytes: what it passes, a library can decode without surprises.

The libraries trust the bytes: they read symbol and branch -1 from the end of a list, make gigabytes of a count, wrap an
int that is too large. Here every length, count, index and range is checked before anything is allocated, in time that
grows with the bytes and not with what they claim.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from stream_infer.avro.admission import MAX_DECIMAL_BYTES, min_size_bytes
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf
from stream_infer.errors import Reason

Walk = Callable[[bytes, int], int]
"""Takes the bytes and where a value starts; returns where it ends. Raises `Refusal`."""

ROOT: Final = "the record"
_FIXED: Final = {"float": 4, "double": 8}
_INT_RANGE: Final = range(-(2**31), 2**31)
_MAX_VARINT_BYTES: Final = 10
_SHORT_INT_BYTES: Final = 4
"""A varint this short holds 28 bits: it is always inside an int."""


def checker(writer: AvroType) -> Callable[[bytes], None]:
    """Return a function that raises `Refusal` unless bytes are exactly one value of the writer's type."""
    walk = walker(writer, ROOT)

    def check(body: bytes) -> None:
        end = walk(body, 0)
        if end != len(body):
            raise Refusal(
                f"{len(body) - end} of {len(body)} bytes are left after the record: expected none",
                reason=Reason.TRAILING_BYTES,
            )

    return check


def walker(avro_type: AvroType, path: str) -> Walk:  # noqa: PLR0911 -- a return for each Avro type
    """Return the walk over one value of a type; `path` names it in refusals."""
    match avro_type:
        case Primitive():
            return _primitive(avro_type, path)
        case Fixed():
            return _bytes_of(avro_type.size, path)
        case Enum():
            return _index(len(avro_type.symbols), path)
        case ArrayOf():
            return _blocks(_items(avro_type.items, path), path, smallest=min_size_bytes(avro_type.items))
        case MapOf():
            entry = _pair(walker(avro_type.values, path), path)
            return _blocks(_each(entry), path, smallest=1 + min_size_bytes(avro_type.values))
        case UnionOf():
            return _union([walker(each, path) for each in avro_type.branches], path)
        case Record():
            return _record([walker(each.type, _join(path, each.name)) for each in avro_type.fields])


def _primitive(avro_type: Primitive, path: str) -> Walk:  # noqa: PLR0911 -- a return for each Avro type
    match avro_type.kind:
        case "null":
            return lambda _, at: at
        case "boolean":
            return _boolean(path)
        case "int":
            return _int(path)
        case "long":
            return lambda body, at: _varint(body, at, path)[1]
        case "string":
            return _text(path)
        case "bytes":
            return _blob(path, MAX_DECIMAL_BYTES if avro_type.logical == "decimal" else None)
        case kind:
            return _bytes_of(_FIXED[kind], path)


def _varint(body: bytes, at: int, path: str) -> tuple[int, int]:
    """Return the number that starts at `at`, and where it ends."""
    number = shift = 0
    for position in range(at, min(at + _MAX_VARINT_BYTES, len(body))):
        byte = body[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            number &= 0xFFFF_FFFF_FFFF_FFFF
            return (number >> 1) ^ -(number & 1), position + 1
        shift += 7
    raise Refusal(f"{path} ends inside a number at byte {len(body)}")


def _int(path: str) -> Walk:
    def walk(body: bytes, at: int) -> int:
        number, end = _varint(body, at, path)
        if number not in _INT_RANGE:
            raise Refusal(f"{path} is {number}: expected an int, which has 32 bits")
        return end

    return walk


def _boolean(path: str) -> Walk:
    def walk(body: bytes, at: int) -> int:
        if body[at : at + 1] not in {b"\0", b"\1"}:
            raise Refusal(f"{path} holds {body[at : at + 1].hex() or 'no byte'}: expected a boolean, 00 or 01")
        return at + 1

    return walk


def _bytes_of(size: int, path: str) -> Walk:
    return lambda body, at: _advance(body, at, size, path)


def _advance(body: bytes, at: int, size: int, path: str) -> int:
    if not 0 <= size <= len(body) - at:
        raise Refusal(f"{path} claims {size} bytes at byte {at}, but {len(body) - at} are left")
    return at + size


def _blob(path: str, limit: int | None) -> Walk:
    def walk(body: bytes, at: int) -> int:
        size, start = _varint(body, at, path)
        if limit is not None and size > limit:
            raise Refusal(f"{path} is a decimal of {size} bytes: expected at most {limit}")
        return _advance(body, start, size, path)

    return walk


def _text(path: str) -> Walk:
    blob = _blob(path, None)

    def walk(body: bytes, at: int) -> int:
        _, start = _varint(body, at, path)
        end = blob(body, at)
        try:
            body[start:end].decode()
        except UnicodeDecodeError as error:
            raise Refusal(f"{path} is no UTF-8 text: {error.reason} at byte {start + error.start}") from error
        return end

    return walk


def _index(size: int, path: str) -> Walk:
    def walk(body: bytes, at: int) -> int:
        number, end = _varint(body, at, path)
        if not 0 <= number < size:
            raise Refusal(f"{path} has the symbol number {number}: expected 0 to {size - 1}")
        return end

    return walk


def _union(branches: list[Walk], path: str) -> Walk:
    def walk(body: bytes, at: int) -> int:
        number, start = _varint(body, at, path)
        if not 0 <= number < len(branches):
            raise Refusal(f"{path} has the union branch {number}: expected 0 to {len(branches) - 1}")
        return branches[number](body, start)

    return walk


def _record(fields: list[Walk]) -> Walk:
    def walk(body: bytes, at: int) -> int:
        for field in fields:
            at = field(body, at)
        return at

    return walk


Items = Callable[[bytes, int, int], int]
"""Takes the bytes, where items start and how many there are; returns where the last one ends."""


def _blocks(items: Items, path: str, *, smallest: int) -> Walk:
    def walk(body: bytes, at: int) -> int:
        while True:
            size, at = _varint(body, at, path)
            if size == 0:
                return at
            if size < 0:
                size, (_, at) = -size, _varint(body, at, path)
            if size * smallest > len(body) - at:
                raise Refusal(f"{path} claims {size} items at byte {at}, but {len(body) - at} bytes are left")
            at = items(body, at, size)

    return walk


def _items(item: AvroType, path: str) -> Items:
    """Return a walk over items of one type: by arithmetic or in numpy where the type allows, else one by one."""
    match item:
        case Primitive(kind="float" | "double" as kind):
            return lambda body, at, size: _advance(body, at, size * _FIXED[kind], path)
        case Primitive(kind="int" | "long" as kind):
            return lambda body, at, size: _varints(body, at, size, path, _int(path) if kind == "int" else None)
        case _:
            return _each(walker(item, path))


def _each(walk: Walk) -> Items:
    def items(body: bytes, at: int, size: int) -> int:
        for _ in range(size):
            at = walk(body, at)
        return at

    return items


def _varints(body: bytes, at: int, size: int, path: str, long_ones: Walk | None) -> int:
    window = np.frombuffer(body, np.uint8, min(len(body) - at, size * _MAX_VARINT_BYTES), at)
    lasts = np.flatnonzero(window < 0x80)[:size]  # noqa: PLR2004
    lengths = np.diff(lasts, prepend=-1)
    if len(lasts) < size or lengths.max() > _MAX_VARINT_BYTES:
        raise Refusal(f"{path} ends inside a number at byte {len(body)}")
    if long_ones is not None:
        for start in (at + lasts - lengths + 1)[lengths > _SHORT_INT_BYTES].tolist():
            long_ones(body, start)
    return at + int(lasts[-1]) + 1


def _pair(value: Walk, path: str) -> Walk:
    key = _text(f"a key of {path}")
    return lambda body, at: value(body, key(body, at))


def _join(path: str, name: str) -> str:
    return f"field {name}" if path == ROOT else f"{path}.{name}"
