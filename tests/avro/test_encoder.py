"""Encoded records are what other clients read, whichever of the two encoders wrote them."""

import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import HealthCheck, given, settings

from stream_infer.avro.encoder import FEW_ITEMS, FEW_ROWS, Encoder, RowEncoder, fast_encoder
from stream_infer.avro.lower import lowering
from stream_infer.avro.refusal import SchemaRefused
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.schemas import AvroSchema, load_schema, parse_schema
from stream_infer.errors import WrongUse
from tests.avro.made import Case, cases, decoder, encoded, field, record

PREDICTION = load_schema("schemas/prediction.avsc")
BOTH_ENCODERS = pytest.mark.parametrize("times", [1, FEW_ROWS + 1], ids=["few", "many"])
"""How often each row is encoded: few rows are the reference encoder's."""
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _columns(schema: AvroSchema, values: list[Any], *, times: int = 1) -> pa.RecordBatch:
    return RowDecoder(schema.record, schema.record).decode(encoded(schema, *values) * times).columns


@QUICK
@given(cases())
def test_both_encoders_write_the_same_bytes_and_they_are_fastavros(case: Case) -> None:
    record_type, columns = case.writer.record, _columns(case.writer, case.values)
    bodies = encoded(case.writer, *case.values)
    assert RowEncoder(record_type, frame=b"").encode(columns) == bodies
    fast = fast_encoder(record_type, frame=b"")
    assert fast is not None
    assert fast.encode(columns) == bodies
    assert Encoder(case.writer, output_format="raw").is_fast


@BOTH_ENCODERS
@QUICK
@given(case=cases())
def test_what_is_encoded_decodes_to_the_same_columns(case: Case, times: int) -> None:
    columns = _columns(case.writer, case.values, times=times)
    values = Encoder(case.writer, output_format="single_object").encode(columns)
    assert decoder(case.writer).decode(values, None).columns.equals(columns)


@QUICK
@given(cases())
def test_a_slice_encodes_as_its_rows_of_the_whole(case: Case) -> None:
    columns, fast = _columns(case.writer, case.values), fast_encoder(case.writer.record, frame=b"")
    assert fast is not None
    for encoder in fast, RowEncoder(case.writer.record, frame=b""):
        whole = encoder.encode(columns)
        assert [encoder.encode(columns.slice(row, 1)) for row in range(columns.num_rows)] == [[each] for each in whole]


@BOTH_ENCODERS
@pytest.mark.parametrize("schema_id", [0, 1, 127, 0x7F800001, 0x0000FF7F, 0x0100A07F, 2**32 - 1])
def test_every_confluent_frame_is_exact_also_where_its_bytes_look_like_no_number(schema_id: int, times: int) -> None:
    schema = record(field("a", "int"))
    encoder = Encoder(schema, output_format="confluent", schema_id=schema_id)
    assert encoder.is_fast
    values = encoder.encode(_columns(schema, [{"a": 3}], times=times))
    assert values == [b"\x00" + schema_id.to_bytes(4, "big") + b"\x06"] * times


@BOTH_ENCODERS
def test_a_prediction_is_read_by_confluent_kafka(times: int) -> None:
    client = SchemaRegistryClient.new_client({"url": "mock://test"})
    schema_id = client.register_schema("predictions-value", Schema(PREDICTION.json, "AVRO"))
    row = _prediction()
    encoder = Encoder(PREDICTION, output_format="confluent", schema_id=schema_id)
    value = encoder.encode(_columns(PREDICTION, [row], times=times))[0]
    read = AvroDeserializer(client)(value, SerializationContext("predictions", MessageField.VALUE))
    assert read is not None
    assert {**read, "event_time": None, "inferred_at": 0} == {**row, "event_time": None, "inferred_at": 0}


@BOTH_ENCODERS
def test_a_prediction_is_read_by_fastavro(times: int) -> None:
    encoder = Encoder(PREDICTION, output_format="single_object")
    value = encoder.encode(_columns(PREDICTION, [_prediction()], times=times))[0]
    assert value[:10] == b"\xc3\x01" + PREDICTION.fingerprint
    read = fastavro.schemaless_reader(io.BytesIO(value[10:]), fastavro.parse_schema(json.loads(PREDICTION.json)), None)
    assert isinstance(read, dict)
    assert read["scores"] == [0.25, 0.75]


def _prediction() -> dict[str, Any]:
    return {
        "event_id": "e1",
        "entity_id": None,
        "event_time": 1,
        "model_name": "m",
        "model_version": "1",
        "model_digest": "00",
        "revision": 1,
        "variant": "stable",
        "prediction": 1.0,
        "label": "fraud",
        "confidence": 0.75,
        "scores": [0.25, 0.75],
        "source_topic": "t",
        "source_partition": 3,
        "source_offset": 2**40,
        "inferred_at": 2,
    }


def test_types_that_the_fast_encoder_cannot_write_are_written_by_the_reference() -> None:
    schema = record(
        field("f", {"type": "fixed", "name": "F", "size": 2}),
        field("d", {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 2}),
        field("u", ["null", "int", "string"]),
    )
    assert lowering(schema.tree, "record") is None
    values = [{"f": b"ab", "d": b"\xff\x38", "u": "x"}, {"f": b"cd", "d": b"\x01", "u": None}]
    encoder = Encoder(schema, output_format="raw")
    assert not encoder.is_fast
    assert encoder.encode(_columns(schema, values)) == encoded(schema, *values)


@pytest.mark.parametrize("kind", [["null", "int", "string"], ["int", "string"]])
def test_a_slice_of_a_union_of_several_types_encodes_as_its_rows_of_the_whole(kind: Any) -> None:
    schema = record(field("u", kind), field("many", {"type": "array", "items": kind}))
    values = [{"u": u, "many": [u, 7, "y"]} for u in (5, "x", 7, "z")]
    columns, encoder = _columns(schema, values), Encoder(schema, output_format="raw")
    found = [encoder.encode(columns.slice(row, 1)) for row in range(columns.num_rows)]
    assert found == [[each] for each in encoded(schema, *values)]


def test_few_rows_with_long_arrays_are_the_fast_encoders_and_say_the_same() -> None:
    schema = record(field("v", {"type": "array", "items": "float"}))
    values: list[Any] = [{"v": [0.5] * FEW_ITEMS}, {"v": [1.5]}]
    assert Encoder(schema, output_format="raw").encode(_columns(schema, values)) == encoded(schema, *values)


def test_a_decimal_too_long_for_its_bytes_is_an_error() -> None:
    kind = {"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 2, "scale": 0}
    wide = pa.RecordBatch.from_arrays([pa.array([Decimal(300)], pa.decimal128(3, 0))], names=["v"])
    with pytest.raises(ValueError, match="too big"):
        Encoder(record(field("v", kind)), output_format="raw").encode(wide)


def test_no_rows_are_no_records() -> None:
    assert Encoder(PREDICTION, output_format="raw").encode(_columns(PREDICTION, [])) == []


@BOTH_ENCODERS
@pytest.mark.parametrize("kind", ["string", {"type": "array", "items": "int"}, "double", "boolean"])
def test_a_null_where_the_schema_has_none_is_an_error_and_never_a_made_up_value(kind: Any, times: int) -> None:
    optional, strict = record(field("v", ["null", kind])), record(field("v", kind))
    columns = _columns(optional, [{"v": None}], times=times)
    with pytest.raises(ValueError, match="field v is null"):
        Encoder(strict, output_format="raw").encode(columns)


@BOTH_ENCODERS
def test_text_that_is_no_symbol_is_an_error(times: int) -> None:
    schema = record(field("v", {"type": "enum", "name": "E", "symbols": ["A"]}))
    with pytest.raises(ValueError, match="no symbol of E"):
        Encoder(schema, output_format="raw").encode(_columns(record(field("v", "string")), [{"v": "B"}], times=times))


def test_the_confluent_format_needs_a_registered_id() -> None:
    with pytest.raises(WrongUse, match="no registered id"):
        Encoder(PREDICTION, output_format="confluent")


def test_only_records_are_encoded() -> None:
    with pytest.raises(SchemaRefused, match="no record"):
        Encoder(parse_schema('"string"'), output_format="raw")
