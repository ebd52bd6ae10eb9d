"""Whether the fast decoder may serve a writer schema: it must answer samples of it as the reference does."""

from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer

from stream_infer.avro.columns import ColumnDecoder, Undecided
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.samples import samples
from stream_infer.avro.spell import Plain
from stream_infer.avro.tree import AvroType


def agree(writer: AvroType, *, fast: ColumnDecoder, reference: RowDecoder) -> bool:
    """Return whether both decoders make the same columns of samples of the writer's type, and refuse the same."""
    bodies = sample_bodies(writer)
    answer = reference.decode(bodies)
    refused = {each.index for each in answer.refused}
    try:
        columns = fast.decode([bodies[index] for index in answer.kept], 0)
    except Undecided:
        return False
    same = bool(columns.sound.all()) and columns.columns.equals(answer.columns)
    return same and all(_refuses(fast, bodies[index]) for index in refused)


def sample_bodies(writer: AvroType) -> list[bytes]:
    """Return the samples as the reference encodes them."""
    schema = parse_schema(Plain().spell(writer))
    return [_encoded(schema, value) for value in samples(writer)]


def _encoded(schema: Any, value: object) -> bytes:
    buffer = BytesIO()
    schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


def _refuses(fast: ColumnDecoder, body: bytes) -> bool:
    try:
        return not fast.decode([body], 0).sound.all()
    except Undecided:
        return True
