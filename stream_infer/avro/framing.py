"""What stands around an Avro record and names its schema.

confluent      00, four bytes of schema id, most significant first; or the same in a header, and the value bare
single_object  C3 01, eight bytes of CRC-64-AVRO fingerprint, least significant first
raw            nothing
"""

from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from stream_infer.avro.refusal import Refusal
from stream_infer.errors import Reason
from stream_infer.records import Headers

InputFormat = Literal["auto", "confluent", "single_object", "raw"]
OutputFormat = Literal["confluent", "single_object", "raw"]

VALUE_SCHEMA_HEADER: Final = "__value_schema_id"
KEY_SCHEMA_HEADER: Final = "__key_schema_id"
SINGLE_OBJECT_MARKER: Final = b"\xc3\x01"
CONFLUENT_ID: Final = b"\x00"
CONFLUENT_GUID: Final = b"\x01"
_ID_BYTES: Final = 4
_GUID_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 8
SINGLE_OBJECT_BYTES: Final = len(SINGLE_OBJECT_MARKER) + _FINGERPRINT_BYTES


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A schema named by its CRC-64-AVRO, as the eight bytes of the frame."""

    value: bytes


@dataclass(frozen=True, slots=True)
class SchemaId:
    """A schema named by its number in the registry."""

    value: int


@dataclass(frozen=True, slots=True)
class SchemaGuid:
    """A schema named by its GUID in the registry."""

    value: str


SchemaRef = Fingerprint | SchemaId | SchemaGuid | None
"""Which schema wrote a record; None is the one configured schema of raw records."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Which schema wrote a value, and at which byte its record begins."""

    ref: SchemaRef
    start: int


def confluent_frame(schema_id: int) -> bytes:
    """Return the five bytes before a record of a registered schema."""
    return CONFLUENT_ID + schema_id.to_bytes(_ID_BYTES, "big")


def single_object_frame(fingerprint: bytes) -> bytes:
    """Return the ten bytes before a record in single-object encoding; `fingerprint` as `AvroSchema` has it."""
    return SINGLE_OBJECT_MARKER + fingerprint


def read_frame(value: bytes, input_format: InputFormat, *, header: bytes | None = None) -> Frame:
    """Return the frame of one value; `header` is the content of its schema id header, if it has one.

    Raises `Refusal` for bytes that are not in the format; `auto` never takes them for raw.
    """
    if input_format == "raw":
        return Frame(None, 0)
    if header is not None and input_format != "single_object":
        return Frame(_registry_ref(header).ref, 0)
    if value[:2] == SINGLE_OBJECT_MARKER and input_format != "confluent":
        return _single_object(value)
    if input_format == "confluent" or (input_format == "auto" and value[:1] == CONFLUENT_ID):
        return _registry_ref(value)
    raise _unknown(value, input_format)


def frame_length(value: bytes, input_format: InputFormat) -> int:
    """Return how many leading bytes of a value name its schema when it has no header; 0 when they do not."""
    if value[:2] == SINGLE_OBJECT_MARKER and input_format in {"auto", "single_object"}:
        return SINGLE_OBJECT_BYTES
    if value[:1] == CONFLUENT_ID and input_format in {"auto", "confluent"}:
        return len(CONFLUENT_ID) + _ID_BYTES
    return 0


def header_of(headers: Headers | None, name: str) -> bytes | None:
    """Return the content of the first header of that name, or None."""
    return next((content for key, content in headers or () if key == name), None)


def _single_object(value: bytes) -> Frame:
    start = SINGLE_OBJECT_BYTES
    if len(value) < start:
        raise Refusal(f"the value ends after {len(value)} bytes: a single-object frame has {start}")
    return Frame(Fingerprint(value[2:start]), start)


def _registry_ref(value: bytes) -> Frame:
    kind = value[:1]
    if kind == CONFLUENT_ID and len(value) > _ID_BYTES:
        return Frame(SchemaId(int.from_bytes(value[1 : 1 + _ID_BYTES], "big")), 1 + _ID_BYTES)
    if kind == CONFLUENT_GUID and len(value) > _GUID_BYTES:
        return Frame(SchemaGuid(str(UUID(bytes=value[1 : 1 + _GUID_BYTES]))), 1 + _GUID_BYTES)
    raise _unknown(value, "confluent")


def _unknown(value: bytes, input_format: str) -> Refusal:
    begins = value[:5].hex(" ") or "no byte"
    expected = {
        "auto": "C3 01 and a fingerprint, or 00 and a schema id",
        "confluent": "00 and a schema id of four bytes, or 01 and a GUID",
        "single_object": "C3 01 and a fingerprint",
    }
    return Refusal(f"the frame begins with {begins}: expected {expected[input_format]}", reason=Reason.UNKNOWN_FORMAT)
