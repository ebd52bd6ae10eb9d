"""Values of a schema made up from a seed, edge cases first: what both decoders are asked before one is trusted."""

from random import Random
from typing import Any, Final

from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf

SAMPLES: Final = 24
_EDGES: Final[dict[str, tuple[Any, ...]]] = {
    "null": (None,),
    "boolean": (False, True),
    "int": (0, -1, 2**31 - 1, -(2**31), 64, -65),
    "long": (0, -1, 2**63 - 1, -(2**63), 2**31, 8192),
    "float": (0.0, -1.5, float("inf"), 2.0**-149, 3.4028234663852886e38),
    "double": (0.0, -1.5, float("-inf"), 5e-324, 1.7976931348623157e308),
    "bytes": (b"", b"\x00", b"\xff\xfe", b"\x01" * 8),
    "string": ("", "a", "\u00e9\U0001f600", "x" * 70),
}
_MAX_ITEMS: Final = 3
_DEEP: Final = 2


def samples(avro_type: AvroType, *, seed: int = 0, count: int = SAMPLES) -> list[Any]:
    """Return `count` values of the type as fastavro writes them; equal seeds give equal values."""
    source = Random(seed)  # noqa: S311 -- these are test data, and must be the same on every worker
    return [_sample(avro_type, source, number) for number in range(count)]


def _sample(avro_type: AvroType, source: Random, number: int, depth: int = 0) -> Any:  # noqa: PLR0911 -- a return for each Avro type
    """Return one value; the first ones walk through the edge cases of every field in step."""
    match avro_type:
        case Primitive():
            return _edge(avro_type, source, number)
        case Fixed():
            return source.randbytes(avro_type.size)
        case Enum():
            return avro_type.symbols[number % len(avro_type.symbols)]
        case ArrayOf():
            size = _size(source, number, depth)
            return [_sample(avro_type.items, source, number + at, depth + 1) for at in range(size)]
        case MapOf():
            size = _size(source, number, depth)
            return {f"k{at}": _sample(avro_type.values, source, number + at, depth + 1) for at in range(size)}
        case Record():
            fields = enumerate(avro_type.fields)
            return {each.name: _sample(each.type, source, number + at, depth) for at, each in fields}
        case UnionOf():
            return _sample(source.choice(avro_type.branches), source, number, depth)


def _edge(avro_type: Primitive, source: Random, number: int) -> Any:
    if avro_type.logical == "decimal":
        number = source.randrange(10**avro_type.precision)
        return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    edges = _EDGES[avro_type.kind]
    return edges[number] if number < len(edges) else source.choice(edges)


def _size(source: Random, number: int, depth: int) -> int:
    """Return how many items a list gets; lists in lists in lists would multiply."""
    return 0 if number == 0 else source.randint(0, _MAX_ITEMS if depth < _DEEP else 1)
