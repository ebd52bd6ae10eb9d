"""A broken record is shown as far as it goes, and the refusal names the field where it stops."""

import io
from typing import Any

import fastavro
import pytest

from stream_infer.avro import parse_schema
from stream_infer.avro.partial import FieldDecoder
from stream_infer.avro.tree import Record

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "where", "type": {"type": "record", "name": "Place", "fields": [{"name": "x", "type": "int"}]}},
        {"name": "features", "type": {"type": "array", "items": "float"}},
        {"name": "note", "type": ["null", "string"]},
    ],
}
EVENT = {"id": "e1", "where": {"x": 7}, "features": [1.0, 2.0], "note": "hm"}


@pytest.fixture(scope="module")
def decoder() -> FieldDecoder:
    record = parse_schema(str(SCHEMA).replace("'", '"')).record
    assert isinstance(record, Record)
    return FieldDecoder(record)


def body() -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, EVENT)
    return out.getvalue()


def test_a_whole_record_has_all_its_fields(decoder: FieldDecoder) -> None:
    assert decoder.decode(body()) == (EVENT, None)


def test_at_every_cut_the_fields_before_it_are_there(decoder: FieldDecoder) -> None:
    whole = body()
    for end in range(len(whole)):
        found, refusal = decoder.decode(whole[:end])
        assert found == {name: EVENT[name] for name in list(EVENT)[: len(found)]}
        assert refusal is not None
        assert str(refusal).startswith(list(EVENT)[len(found)])


def test_bytes_that_are_left_over_are_told(decoder: FieldDecoder) -> None:
    found, refusal = decoder.decode(body() + b"\0\0")
    assert found == EVENT
    assert "2 of" in str(refusal)


def test_a_count_that_no_memory_holds_costs_nothing(decoder: FieldDecoder) -> None:
    huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
    found, refusal = decoder.decode(b"\x04e1" + b"\x0e" + huge)
    assert found == {"id": "e1", "where": {"x": 7}}
    assert str(refusal).startswith("features")
