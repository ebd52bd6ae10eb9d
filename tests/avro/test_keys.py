"""Fields that come from the record key."""

import pyarrow as pa
import pytest

from stream_infer.avro.framing import KEY_SCHEMA_HEADER, InputFormat, confluent_frame
from stream_infer.avro.keys import KeyDecoder, is_key_path
from stream_infer.avro.schemas import AvroSchema
from stream_infer.errors import Reason, Retry, WrongUse
from stream_infer.testing.schema_source import MemorySchemaSource
from tests.avro.made import HandClock, encoded, field, framed, record

KEY = record(field("id", "int"), field("at", {"type": "record", "name": "At", "fields": [field("place", "string")]}))


def _keys(
    path: str,
    wanted: pa.DataType,
    *local: AvroSchema,
    source: MemorySchemaSource | None = None,
    input_format: InputFormat = "auto",
) -> KeyDecoder:
    return KeyDecoder(
        path,
        wanted=wanted,
        input_format=input_format,
        sources=source,
        local=local,
        max_record_bytes=1000,
        clock=HandClock(),
    )


def test_a_bare_key_is_text_and_a_key_that_is_none_refuses_its_record() -> None:
    found = _keys("key", pa.string()).decode(["\u00e9".encode(), None, b"\xff"], None)
    assert found.values.to_pylist() == ["\u00e9", None, None]
    assert [(each.row, each.reason) for each in found.rejects] == [(2, Reason.UNDECODABLE)]


def test_a_path_reads_a_field_of_an_avro_key() -> None:
    value = {"id": 7, "at": {"place": "x"}}
    keys = [None, *framed(KEY, value), b"plain", *framed(KEY, {**value, "id": 8})]
    places = _keys("key.at.place", pa.string(), KEY).decode(keys, None)
    assert places.values.to_pylist() == [None, "x", None, "x"]
    assert [(each.row, each.reason) for each in places.rejects] == [(2, Reason.UNKNOWN_FORMAT)]
    assert _keys("key.id", pa.string(), KEY).decode(keys, None).values.to_pylist() == [None, "7", None, "8"]


def test_a_key_schema_may_be_registered_and_named_in_a_header() -> None:
    source = MemorySchemaSource()
    source.add(KEY.json, schema_id=5)
    body = encoded(KEY, {"id": 7, "at": {"place": "x"}})[0]
    headers = [[(KEY_SCHEMA_HEADER, confluent_frame(5))], None]
    found = _keys("key.id", pa.int64(), source=source).decode([body, confluent_frame(5) + body], headers)
    assert found.values.to_pylist() == [7, 7]
    source.away = True
    with pytest.raises(Retry):
        _keys("key.id", pa.int64(), source=source).decode([confluent_frame(5) + body], None)


def test_a_field_that_the_key_lacks_or_that_has_another_type_refuses_its_records() -> None:
    keys = framed(KEY, {"id": 7, "at": {"place": "x"}})
    assert _keys("key.nope", pa.string(), KEY).decode(keys, None).rejects[0].reason is Reason.INCOMPATIBLE_SCHEMA
    assert _keys("key.at.nope", pa.string(), KEY).decode(keys, None).rejects[0].reason is Reason.WRONG_TYPE
    assert _keys("key.at.place", pa.int64(), KEY).decode(keys, None).rejects[0].reason is Reason.WRONG_TYPE


def test_raw_keys_have_no_fields() -> None:
    with pytest.raises(WrongUse, match="raw keys have no schema"):
        _keys("key.id", pa.string(), input_format="raw")


def test_only_key_and_what_is_below_it_points_into_the_key() -> None:
    assert [each for each in ("key", "key.id", "keys", "a.key", "") if is_key_path(each)] == ["key", "key.id"]
