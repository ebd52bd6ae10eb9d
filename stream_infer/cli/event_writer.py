"""Lines of JSON to framed Avro events with their keys."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer

from stream_infer.avro import AvroSchema
from stream_infer.avro.from_json import Misfit, from_json, instant
from stream_infer.avro.spell import Plain
from stream_infer.avro.tree import AvroType, Primitive
from stream_infer.clock import Clock
from stream_infer.settings import SchemaFields


@dataclass(frozen=True, slots=True)
class Event:
    """One record to produce."""

    key: bytes | None
    value: bytes


class EventWriter:
    """Turns lines into events of one schema.

    `frame` goes before every value; `key_field` is the dotted path of the field whose text is the key, None for no
    key. A line that lacks the fields that `fields` names as event id and event time gets them: a UUID, and now.
    """

    def __init__(
        self, schema: AvroSchema, *, frame: bytes, key_field: str | None, fields: SchemaFields, clock: Clock
    ) -> None:
        self._record = schema.record
        self._plain = parse_schema(Plain().spell(schema.record))
        self._frame = frame
        self._key_field = key_field
        self._fields = fields
        self._types = {field.name: field.type for field in schema.record.fields}
        self._clock = clock

    def event(self, line: str) -> Event:
        """Return the event of one line; raises `Misfit`, naming the field, when it cannot be written."""
        document = self._filled(_document(line))
        value = from_json(document, self._record)
        return Event(self._key(value), self._encode(value))

    def _filled(self, document: dict[str, Any]) -> dict[str, Any]:
        event_id, event_time = self._fields.event_id or "", self._fields.event_time or ""
        filled = dict(document)
        if _is_text(self._types.get(event_id)):
            filled.setdefault(event_id, str(uuid.uuid4()))
        now = instant(datetime.fromtimestamp(self._clock.wall_s(), UTC), _logical(self._types.get(event_time)))
        if now is not None:
            filled.setdefault(event_time, now)
        return filled

    def _key(self, value: dict[str, Any]) -> bytes | None:
        found: Any = value
        for step in self._key_field.split(".") if self._key_field else ():
            if not isinstance(found, dict) or step not in found:
                raise Misfit(f"{self._key_field} is no field of {self._record.name}, expected one to make the key of")
            found = found[step]
        if found is None or not self._key_field:
            return None
        return found if isinstance(found, bytes) else str(found).encode()

    def _encode(self, value: dict[str, Any]) -> bytes:
        out = BytesIO()
        out.write(self._frame)
        schemaless_writer(out, self._plain, value)
        return out.getvalue()


def _document(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise Misfit(f"the line is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise Misfit(f"the line is {line.strip()[:60]!r}, expected a JSON object")
    return document


def _is_text(avro_type: AvroType | None) -> bool:
    return isinstance(avro_type, Primitive) and avro_type.kind == "string"


def _logical(avro_type: AvroType | None) -> str | None:
    return avro_type.logical if isinstance(avro_type, Primitive) else None
