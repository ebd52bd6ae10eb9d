"""Schemas as files, as Arrow columns and with passthrough fields."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from stream_infer.avro.arrow import column, path_type
from stream_infer.avro.schemas import load_schema, parse_schema, with_passthrough
from stream_infer.errors import WrongUse
from tests.avro.made import decoder, field, framed, record

EVENT = load_schema("schemas/feature_event.avsc")
PREDICTION = load_schema("schemas/prediction.avsc")


def test_the_shipped_schemas_have_the_promised_fields_in_order() -> None:
    assert [each.name for each in EVENT.fields] == ["event_id", "entity_id", "event_time", "features"]
    assert [each.name for each in PREDICTION.fields] == [
        *("event_id", "entity_id", "event_time", "model_name", "model_version", "model_digest", "revision", "variant"),
        *("prediction", "label", "confidence", "scores"),
        *("source_topic", "source_partition", "source_offset", "inferred_at"),
    ]
    assert EVENT.name == "stream_infer.FeatureEvent"


def test_arrow_columns_say_which_fields_may_be_null() -> None:
    schema = PREDICTION.arrow_schema
    assert [each.name for each in schema if each.nullable] == [
        *("event_id", "entity_id", "event_time", "prediction", "label", "confidence"),
    ]
    assert schema.field("event_time").type == pa.timestamp("us", tz="UTC")
    assert schema.field("scores").type == pa.list_(pa.float32())
    assert schema.field("source_partition").type == pa.int32()


@pytest.mark.parametrize("text", [None, "{", '{"type": "array", "items": "null"}'])
def test_a_schema_file_that_cannot_be_used_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "some.avsc"
    if text is not None:
        path.write_text(text)
    with pytest.raises(WrongUse, match=r"some\.avsc cannot be used"):
        load_schema(path)


def test_passthrough_fields_keep_the_readers_type_and_come_last_once() -> None:
    point = {"type": "record", "name": "Point", "namespace": "geo", "fields": [field("x", "double")]}
    reader = record(
        field("amount", ["null", "double"], default=None),
        field("label", "string"),
        field("left", point),
        field("right", "geo.Point"),
        field("day", {"type": "int", "logicalType": "date"}),
    )
    whole = with_passthrough(PREDICTION, reader, ["right", "label", "amount", "day", "amount"])
    assert [each.name for each in whole.fields][16:] == ["right", "amount", "day"]
    assert whole.arrow_schema.field("right").type == reader.arrow_schema.field("right").type
    assert whole.arrow_schema.field("amount").nullable
    assert whole.arrow_schema.field("day").type == pa.date32()
    assert with_passthrough(PREDICTION, reader, []) is PREDICTION


def test_a_passthrough_field_that_the_reader_lacks_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match="names 'nope'"):
        with_passthrough(PREDICTION, EVENT, ["nope"])


def test_a_dotted_path_reads_through_records_and_their_nulls() -> None:
    inner = {"type": "record", "name": "I", "fields": [field("x", "int")]}
    schema = record(field("a", ["null", {"type": "record", "name": "O", "fields": [field("b", inner)]}]))
    columns = decoder(schema).decode(framed(schema, {"a": None}, {"a": {"b": {"x": 4}}}), None).columns
    assert column(columns, "a.b.x").to_pylist() == [None, 4]
    assert path_type(schema.arrow_schema, "a.b.x") == pa.int32()


@pytest.mark.parametrize("path", ["b", "a.y", "a.x.z", ""])
def test_a_path_that_leads_nowhere_is_wrong_use(path: str) -> None:
    schema = record(field("a", {"type": "record", "name": "I", "fields": [field("x", "int")]}))
    with pytest.raises(WrongUse, match="there is no field"):
        path_type(schema.arrow_schema, path)


def test_a_default_that_fits_no_type_does_not_refuse_a_writer_schema() -> None:
    text = json.dumps({"type": "record", "name": "R", "fields": [field("a", ["null", "int"], default="wrong")]})
    assert parse_schema(text).fields[0].name == "a"
