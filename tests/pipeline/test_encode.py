"""What becomes of values that a prediction cannot hold."""

import io
import json
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from stream_infer.avro import AvroSchema, parse_schema
from stream_infer.clock import SystemClock
from stream_infer.errors import Reason, Stop
from stream_infer.model import LoadedVersion, Scored, load_version, open_device
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.encode import PredictionEncoder
from stream_infer.pipeline.infer import Inferred, Served
from stream_infer.scoring import Codec
from stream_infer.settings import load_settings
from tests.pipeline.polls import make_records
from tests.pipeline.scored import write_lookup

ROWS = 5


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    return load_version(write_lookup(tmp_path_factory.mktemp("models")), device=open_device("cpu"), batch_size=ROWS)


def reader(event_time: object, *more: object) -> AvroSchema:
    fields = [
        {"name": "event_id", "type": "string"},
        {"name": "entity_id", "type": "string"},
        {"name": "event_time", "type": event_time},
        *more,
    ]
    return parse_schema(json.dumps({"type": "record", "name": "E", "fields": fields}))


def encoder_for(schema: AvroSchema, *sets: str) -> PredictionEncoder:
    return Codec(load_settings(None, list(sets), {}), schema, SystemClock()).prediction_encoder()


def batch(schema: AvroSchema, times: list[object], version: LoadedVersion) -> tuple[Inferred, Scored]:
    names = [f"e{row}" for row in range(ROWS)]
    columns = pa.RecordBatch.from_arrays(
        [pa.array(names), pa.array(names), pa.array(times, schema.arrow_schema.field("event_time").type)],
        schema=schema.arrow_schema,
    )
    scored = Scored(scores=np.zeros((ROWS, 2), dtype=np.float32))
    records = make_records([(0, row) for row in range(ROWS)])
    served = Served(Serving(0, version), Variant.STABLE)
    inferred = Inferred(records, served, columns, rows=np.arange(ROWS), rejects=(), skipped=0, scored=scored)
    return inferred, scored


def test_one_time_that_cannot_be_converted_costs_its_own_record_only(version: LoadedVersion) -> None:
    schema = reader("string")
    times: list[object] = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "soon", "2026-01-01T00:00:02Z", "1999-01-01"]
    inferred, scored = batch(schema, times, version)
    encoded = encoder_for(schema).encode(inferred, scored, now_s=0.0)
    assert 2 not in encoded.rows
    assert {0, 1, 3} <= set(encoded.rows)
    assert len(encoded.values) == len(encoded.rows)
    assert {reject.row for reject in encoded.rejects} == set(range(ROWS)) - set(encoded.rows)
    assert {reject.reason for reject in encoded.rejects} == {Reason.UNENCODABLE}


def test_a_time_in_milliseconds_becomes_one_in_microseconds(version: LoadedVersion) -> None:
    schema = reader({"type": "long", "logicalType": "timestamp-millis"})
    inferred, scored = batch(schema, [1_700_000_000_123 + row for row in range(ROWS)], version)
    encoded = encoder_for(schema).encode(inferred, scored, now_s=0.0)
    assert encoded.rejects == ()
    output = fastavro.schema.load_schema(str(load_settings(None, [], {}).schemas.output))
    first = fastavro.schemaless_reader(io.BytesIO(encoded.values[0][10:]), output, None)
    assert isinstance(first, dict)
    assert first["event_time"].microsecond == 123_000


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_700_000_000_123),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_123_456),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_700_000_000_123_456_000),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, 1_700_000_000_123),
        ("long", 1_700_000_000_123_456),
        ("double", 1_700_000_000_123_456.0),
        ("string", "1700000000123456"),
    ],
)
def test_the_moment_of_an_answer_is_in_the_unit_of_its_field(
    kind: object, expected: object, tmp_path: Path, version: LoadedVersion
) -> None:
    schema, output = reader("string"), tmp_path / "out.avsc"
    output.write_text(json.dumps({"type": "record", "name": "P", "fields": [{"name": "inferred_at", "type": kind}]}))
    inferred, scored = batch(schema, ["2026-01-01T00:00:00Z"] * ROWS, version)
    sets = (f"schemas.output={output}", "schemas.output_format=raw")
    encoded = encoder_for(schema, *sets).encode(inferred, scored, now_s=1_700_000_000.1234567)
    plain = kind["type"] if isinstance(kind, dict) else kind
    written = fastavro.parse_schema({"type": "record", "name": "P", "fields": [{"name": "inferred_at", "type": plain}]})
    assert fastavro.schemaless_reader(io.BytesIO(encoded.values[0]), written, None) == {"inferred_at": expected}


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "time-micros"},
        "int",
        "float",
        "boolean",
        "bytes",
    ],
)
def test_a_moment_that_its_field_cannot_hold_is_refused_at_the_start(kind: object, tmp_path: Path) -> None:
    output = tmp_path / "out.avsc"
    output.write_text(json.dumps({"type": "record", "name": "P", "fields": [{"name": "inferred_at", "type": kind}]}))
    with pytest.raises(Stop, match=r"schemas\.output has inferred_at as .*: expected a timestamp"):
        encoder_for(reader("string"), f"schemas.output={output}")


def test_a_type_that_no_answer_can_become_stops_the_worker_before_anything_is_lost(
    tmp_path: Path, version: LoadedVersion
) -> None:
    schema, output = reader("string"), tmp_path / "out.avsc"
    kind = {"type": "int", "logicalType": "date"}
    output.write_text(json.dumps({"type": "record", "name": "P", "fields": [{"name": "scores", "type": kind}]}))
    inferred, scored = batch(schema, ["2026-01-01T00:00:00Z"] * ROWS, version)
    encoder = encoder_for(schema, f"schemas.output={output}", "schemas.output_format=raw")
    with pytest.raises(Stop, match=r"scores as date32.*, which list.* cannot become"):
        encoder.encode(inferred, scored, now_s=0.0)


def test_a_type_that_can_never_become_a_time_is_refused_at_the_start() -> None:
    with pytest.raises(Stop, match="the input's event_time is double, which cannot become"):
        encoder_for(reader("double"))


def test_a_passthrough_field_may_not_take_the_place_of_what_the_model_says() -> None:
    schema = reader("string", {"name": "label", "type": "string"})
    with pytest.raises(Stop, match=r"schemas\.passthrough names label, which is a prediction's own field"):
        encoder_for(schema, "schemas.passthrough=label")


def test_an_output_field_that_nothing_fills_is_refused_at_the_start(tmp_path: Path) -> None:
    output = tmp_path / "out.avsc"
    output.write_text(json.dumps({"type": "record", "name": "P", "fields": [{"name": "mood", "type": "string"}]}))
    with pytest.raises(Stop, match=r"schemas\.output has a field mood that nothing fills"):
        encoder_for(reader("string"), f"schemas.output={output}")
