"""Avro schemas as the worker uses them: parsed, admitted, with fingerprint and Arrow types."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
from fastavro.schema import fingerprint

from stream_infer.avro.admission import admit
from stream_infer.avro.arrow import arrow_schema
from stream_infer.avro.parse import parse
from stream_infer.avro.refusal import SchemaRefused
from stream_infer.avro.spell import canonical, full
from stream_infer.avro.tree import AvroType, Field, Record
from stream_infer.errors import WrongUse

MAX_SCHEMA_BYTES: Final = 1_048_576


@dataclass(frozen=True)
class AvroSchema:
    """One admitted schema.

    `json` is the text it was read from; `tree` the same with names resolved; `fingerprint` the eight bytes of its
    CRC-64-AVRO, least significant first, as single-object encoding writes them.
    """

    json: str
    tree: AvroType
    fingerprint: bytes

    @property
    def name(self) -> str:
        """Return the full name, or the kind of a type that has no name."""
        return str(getattr(self.tree, "name", None) or getattr(self.tree, "kind", type(self.tree).__name__))

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields, each with `name` and `type`; a schema that is no record has none."""
        return self.tree.fields if isinstance(self.tree, Record) else ()

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Return the columns of the record; raises `SchemaRefused` when it is none."""
        return arrow_schema(self.record)

    @property
    def record(self) -> Record:
        """Return the tree; raises `SchemaRefused` when it is no record."""
        if not isinstance(self.tree, Record):
            raise SchemaRefused(f"schema {self.name} is no record: only records have fields")
        return self.tree


def parse_schema(text: str) -> AvroSchema:
    """Return the schema in `text`, JSON; raises `SchemaRefused` for one that is malformed or not admitted."""
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaRefused(f"the schema has {len(text)} characters: expected at most {MAX_SCHEMA_BYTES}")
    try:
        tree = parse(json.loads(text))
        admit(tree)
        return AvroSchema(text, tree, bytes.fromhex(fingerprint(canonical(tree), "CRC-64-AVRO")))
    except (ValueError, RecursionError) as error:
        raise SchemaRefused(f"the schema is not valid Avro: {error}") from error


def load_schema(path: Path | str) -> AvroSchema:
    """Return the schema in a file; raises `WrongUse` when it is missing, malformed or not admitted."""
    try:
        return parse_schema(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SchemaRefused) as error:
        raise WrongUse(f"schema file {path} cannot be used: {error}") from error


def with_passthrough(prediction: AvroSchema, reader: AvroSchema, fields: Sequence[str]) -> AvroSchema:
    """Return the prediction schema with the named fields of the reader appended, unless it has them already.

    Raises `WrongUse` for a field that the reader schema does not have.
    """
    missing = set(fields) - {each.name for each in reader.fields}
    if missing:
        known = ", ".join(each.name for each in reader.fields)
        raise WrongUse(f"schemas.passthrough names {min(missing)!r}: expected a field of {reader.name}: {known}")
    own = {each.name for each in prediction.fields}
    wanted = [name for name in dict.fromkeys(fields) if name not in own]
    if not wanted:
        return prediction
    document = json.loads(prediction.json)
    # The reader is spelled out from its tree: its JSON may name types that are defined in fields left behind.
    by_name = {each.name: each for each in reader.fields}
    document["fields"] += full(Record(reader.name, tuple(by_name[name] for name in wanted)))["fields"]
    try:
        return parse_schema(json.dumps(document))
    except SchemaRefused as error:
        raise WrongUse(f"schemas.passthrough cannot be added to {prediction.name}: {error}") from error
