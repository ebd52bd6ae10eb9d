"""Avro records of any known schema to JSON: the framing says which schema wrote each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stream_infer.avro import AvroSchema, SchemaNotFound, SchemaSource, parse_schema
from stream_infer.avro.framing import (
    VALUE_SCHEMA_HEADER,
    Fingerprint,
    InputFormat,
    SchemaGuid,
    SchemaId,
    SchemaRef,
    header_of,
    read_frame,
)
from stream_infer.avro.partial import FieldDecoder
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.rows import ValueDecoder
from stream_infer.avro.tree import Record
from stream_infer.cli.to_json import to_json
from stream_infer.errors import Reason
from stream_infer.records import Headers


@dataclass(frozen=True, slots=True)
class Writer:
    """A schema that wrote records, and its decoder."""

    avro_type: Record
    decoder: ValueDecoder
    fields: FieldDecoder


class RecordReader:
    """Decodes values one by one.

    `local` are the schemas that fingerprints may name, `raw` is the one of values without a frame, `source` the
    registry, None without one.
    """

    def __init__(
        self,
        *,
        input_format: InputFormat,
        local: Iterable[AvroSchema],
        raw: AvroSchema | None,
        source: SchemaSource | None,
    ) -> None:
        self._format = input_format
        self._local = {schema.fingerprint: schema for schema in local}
        self._raw = raw
        self._source = source
        self._writers: dict[SchemaRef, Writer] = {}

    def read(self, value: bytes, headers: Headers | None) -> Any:
        """Return the value as JSON; raises `Refusal` for one that does not decode and `Retry` without the registry."""
        writer, body = self._opened(value, headers)
        return to_json(writer.decoder.decode(body), writer.avro_type)

    def read_fields(self, value: bytes, headers: Headers | None) -> tuple[dict[str, Any], Refusal | None]:
        """Return the fields up to the first that does not decode, as JSON, and why that one does not.

        Raises `Refusal` when it is not known which schema wrote the value, and `Retry` without the registry.
        """
        writer, body = self._opened(value, headers)
        found, refusal = writer.fields.decode(body)
        types = {field.name: field.type for field in writer.avro_type.fields}
        return {name: to_json(one, types[name]) for name, one in found.items()}, refusal

    def _opened(self, value: bytes, headers: Headers | None) -> tuple[Writer, bytes]:
        frame = read_frame(value, self._format, header=header_of(headers, VALUE_SCHEMA_HEADER))
        return self._writers.get(frame.ref) or self._remember(frame.ref), value[frame.start :]

    def _remember(self, ref: SchemaRef) -> Writer:
        record = self._schema(ref).record
        self._writers[ref] = Writer(record, ValueDecoder(record, record), FieldDecoder(record))
        return self._writers[ref]

    def _schema(self, ref: SchemaRef) -> AvroSchema:
        match ref:
            case None if self._raw is not None:
                return self._raw
            case Fingerprint(value) if value in self._local:
                return self._local[value]
            case SchemaId() | SchemaGuid() if self._source is not None:
                return parse_schema(_fetch(self._source, ref))
            case _:
                raise Refusal("the schema of the value is not known here", reason=Reason.UNKNOWN_SCHEMA)


def _fetch(source: SchemaSource, ref: SchemaId | SchemaGuid) -> str:
    try:
        return source.schema_by_id(ref.value) if isinstance(ref, SchemaId) else source.schema_by_guid(ref.value)
    except SchemaNotFound as error:
        raise Refusal(str(error), reason=Reason.UNKNOWN_SCHEMA) from error
