"""Everything that frames can name: each writer schema becomes a decoder once, or a refusal."""

from collections.abc import Callable, Iterable

from stream_infer.avro.framing import Fingerprint, SchemaGuid, SchemaId, SchemaRef
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.registry import SchemaCache, SchemaSource
from stream_infer.avro.schemas import AvroSchema, parse_schema
from stream_infer.avro.writer import WriterDecoder
from stream_infer.clock import Clock
from stream_infer.errors import Reason

Make = Callable[[AvroSchema], WriterDecoder]


class Catalog:
    """Decoders by what a frame names.

    `raw` is the schema of unframed records, None when there is none; `local` are those that fingerprints name. `make`
    turns a schema into its decoder, and may raise `Refusal`.
    """

    def __init__(
        self,
        make: Make,
        *,
        raw: AvroSchema | None,
        local: Iterable[AvroSchema],
        sources: SchemaSource | None,
        clock: Clock,
    ) -> None:
        self._make = make
        self._raw = raw
        self._local = {each.fingerprint: each for each in local}
        self._made: dict[bytes, WriterDecoder | Refusal] = {}
        self._registered = SchemaCache(sources, make=self._from_text, clock=clock)

    def get(self, ref: SchemaRef) -> WriterDecoder | Refusal:
        """Return the decoder of a writer schema, or why its records are refused.

        Raises `Retry` while the registry is away or a schema may still appear in it.
        """
        match ref:
            case None:
                return _unnamed() if self._raw is None else self._from_schema(self._raw)
            case Fingerprint(value) if value in self._local:
                return self._from_schema(self._local[value])
            case Fingerprint(value):
                return _unknown_fingerprint(value)
            case SchemaId() | SchemaGuid():
                return self._from_registry(ref)

    def _from_registry(self, ref: SchemaId | SchemaGuid) -> WriterDecoder | Refusal:
        try:
            return self._registered.get(ref)
        except Refusal as refusal:
            return refusal

    def _from_schema(self, schema: AvroSchema) -> WriterDecoder | Refusal:
        if schema.fingerprint not in self._made:
            self._made[schema.fingerprint] = self._make_or_refuse(schema)
        return self._made[schema.fingerprint]

    def _from_text(self, text: str) -> WriterDecoder | Refusal:
        try:
            return self._make(parse_schema(text))
        except Refusal as refusal:
            return refusal

    def _make_or_refuse(self, schema: AvroSchema) -> WriterDecoder | Refusal:
        try:
            return self._make(schema)
        except Refusal as refusal:
            return refusal


def _unnamed() -> Refusal:
    return Refusal("nothing names the schema of the bytes", reason=Reason.UNKNOWN_FORMAT)


def _unknown_fingerprint(value: bytes) -> Refusal:
    message = f"no local schema has the fingerprint {value.hex()}: put the writer schema beside schemas.input"
    return Refusal(message, reason=Reason.UNKNOWN_SCHEMA)
