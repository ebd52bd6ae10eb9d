"""Schemas and values made up by hypothesis, and short ways to encode and decode them."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import fastavro
import pyarrow as pa
from hypothesis import strategies as st

from stream_infer.avro.columns import ColumnDecoder, Undecided
from stream_infer.avro.decoder import Decoder
from stream_infer.avro.framing import InputFormat, single_object_frame
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.schemas import AvroSchema, parse_schema
from stream_infer.avro.spell import Plain
from stream_infer.avro.tree import AvroType, Record
from stream_infer.testing.schema_source import MemorySchemaSource

Json = Any


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return self.now_s


def record(*fields: Json, name: str = "R") -> AvroSchema:
    return parse_schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}))


def field(name: str, kind: Json, **more: Json) -> Json:
    return {"name": name, "type": kind, **more}


def encoded(schema: AvroSchema, *values: Any) -> list[bytes]:
    """Encode values with fastavro; logical types are given as the numbers and bytes below them."""
    plain = fastavro.parse_schema(Plain().spell(schema.tree))
    bodies = []
    for value in values:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, plain, value)
        bodies.append(buffer.getvalue())
    return bodies


def framed(schema: AvroSchema, *values: Any) -> list[bytes]:
    return [single_object_frame(schema.fingerprint) + body for body in encoded(schema, *values)]


def decoder(
    reader: AvroSchema,
    *writers: AvroSchema,
    input_format: InputFormat = "auto",
    sources: MemorySchemaSource | None = None,
    clock: HandClock | None = None,
    limit: int = 1_048_576,
    fields: tuple[str, ...] | None = None,
) -> Decoder:
    return Decoder(
        reader,
        input_format=input_format,
        sources=sources,
        local=writers,
        max_record_bytes=limit,
        clock=clock or HandClock(),
        fields=fields,
    )


def as_record(tree: AvroType) -> Record:
    assert isinstance(tree, Record)
    return tree


def fast_or_refused(fast: ColumnDecoder, body: bytes) -> pa.RecordBatch | None:
    try:
        answer = fast.decode([body], 0)
    except Undecided:
        return None
    return answer.columns if answer.sound.all() else None


def row_or_refused(rows: RowDecoder, body: bytes) -> pa.RecordBatch | Refusal:
    part = rows.decode([body])
    return part.refused[0].refusal if part.refused else part.columns


_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=12),
    "string": st.text(max_size=12),
}
_WIDER: dict[str, list[str]] = {
    "int": ["int", "long", "float", "double"],
    "long": ["long", "float", "double"],
    "float": ["float", "double"],
    "string": ["string", "bytes"],
}


@dataclass(frozen=True)
class Made:
    """A type as the writer and as the reader spell it, values of the writer's, and a default for the reader's."""

    writer: Json
    reader: Json
    values: st.SearchStrategy[Any]
    default: Json


Names = Callable[[], str]


@st.composite
def made_types(draw: st.DrawFn, names: Names, depth: int = 2) -> Made:
    kinds = [*_LEAVES, "enum", "optional"] + (["array", "map", "record"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind in _LEAVES:
        wider = draw(st.sampled_from(_WIDER.get(kind, [kind])))
        return Made(kind, wider, _LEAVES[kind], _default(wider))
    if kind == "enum":
        return _enum(draw, names)
    if kind == "optional":
        inner = draw(made_types(names, 0).filter(lambda made: not isinstance(made.writer, list)))
        return Made(["null", inner.writer], ["null", inner.reader], st.none() | inner.values, None)
    if kind == "record":
        return draw(made_records(names, depth - 1))
    inner = draw(made_types(names, depth - 1))
    if kind == "array":
        lists = st.lists(inner.values, max_size=4)
        return Made({"type": kind, "items": inner.writer}, {"type": kind, "items": inner.reader}, lists, [])
    maps = st.dictionaries(st.text(max_size=4), inner.values, max_size=3)
    return Made({"type": kind, "values": inner.writer}, {"type": kind, "values": inner.reader}, maps, {})


def _enum(draw: st.DrawFn, names: Names) -> Made:
    name, symbols = names(), ["A", "B", "C"]
    known = draw(st.permutations(symbols))[: draw(st.integers(1, 3))]
    reader = {"type": "enum", "name": name, "symbols": known, "default": known[0]}
    return Made({"type": "enum", "name": name, "symbols": symbols}, reader, st.sampled_from(symbols), known[0])


def _default(kind: str) -> Json:
    return {"boolean": True, "bytes": "\u00ff", "string": "d"}.get(kind, 7)


@st.composite
def made_records(draw: st.DrawFn, names: Names, depth: int = 2) -> Made:
    """Make a record whose reader adds, drops, renames, reorders, promotes and makes nullable."""
    name, fields = names(), draw(st.lists(made_types(names, depth), min_size=1, max_size=4))
    writer, reader, values = [], [], {}
    for number, made in enumerate(fields):
        here = f"f{number}"
        writer.append(field(here, made.writer))
        values[here] = made.values
        match draw(st.sampled_from(["keep", "drop", "alias", "nullable"])):
            case "keep":
                reader.append(field(here, made.reader))
            case "alias":
                reader.append(field(f"new{number}", made.reader, aliases=[here]))
            case "nullable" if not isinstance(made.reader, list):
                reader.append(field(here, [made.reader, "null"]))
            case _:
                continue
    added = draw(st.lists(made_types(names, 0), max_size=2))
    reader += [field(f"added{number}", made.reader, default=made.default) for number, made in enumerate(added)]
    reader = draw(st.permutations(reader)) or [field("nothing", "int", default=0)]
    both = {"type": "record", "name": name}
    return Made({**both, "fields": writer}, {**both, "fields": reader}, st.fixed_dictionaries(values), {})


@dataclass(frozen=True)
class Case:
    """A pair of schemas and values of the writer's."""

    writer: AvroSchema
    reader: AvroSchema
    values: list[Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    numbers = count()
    made = draw(made_records(lambda: f"n{next(numbers)}"))
    values = draw(st.lists(made.values, min_size=1, max_size=6))
    return Case(parse_schema(json.dumps(made.writer)), parse_schema(json.dumps(made.reader)), values)
