"""A record that does not decode, as far as it does: field after field, for a person who looks for what is wrong."""

from typing import Any

from stream_infer.avro.check import walker
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.rows import ValueDecoder
from stream_infer.avro.tree import Record
from stream_infer.errors import Reason


class FieldDecoder:
    """Decodes the fields of records of one writer schema one by one."""

    def __init__(self, writer: Record) -> None:
        self._fields = [
            (field.name, walker(field.type, field.name), ValueDecoder(field.type, field.type))
            for field in writer.fields
        ]

    def decode(self, body: bytes) -> tuple[dict[str, Any], Refusal | None]:
        """Return the fields up to the first that does not decode, and why that one does not; raises nothing."""
        found: dict[str, Any] = {}
        at = 0
        for name, walk, decoder in self._fields:
            try:
                end = walk(body, at)
                found[name] = decoder.decode(body[at:end])
            except Refusal as refusal:
                return found, refusal
            at = end
        if at < len(body):
            left = f"{len(body) - at} of {len(body)} bytes are left after the record: expected none"
            return found, Refusal(left, reason=Reason.TRAILING_BYTES)
        return found, None
