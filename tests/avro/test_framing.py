"""The bytes around a record, against known values and confluent-kafka's own code."""

import json

import pytest
from confluent_kafka.schema_registry.serde import SchemaId as ConfluentSchemaId
from fastavro.schema import to_parsing_canonical_form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_infer.avro.framing import (
    Fingerprint,
    Frame,
    SchemaGuid,
    SchemaId,
    confluent_frame,
    read_frame,
    single_object_frame,
)
from stream_infer.avro.groups import Framing
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.schemas import parse_schema
from stream_infer.avro.spell import canonical
from stream_infer.errors import Reason
from stream_infer.testing.schema_source import MemorySchemaSource
from tests.avro.made import Case, HandClock, cases, decoder, encoded, field, record

GUID = "89791762-2336-4186-9674-299b90a802e2"


@pytest.mark.parametrize(
    ("schema", "number"),
    [
        # From the table of CRC-64-AVRO fingerprints that Avro's own tests share (share/test/data/schema-tests.txt).
        ('"null"', 7195948357588979594),
        ('{"type":"boolean"}', -6970731678124411036),
        ('{"name":"foo","type":"fixed","size":15}', 1756455273707447556),
    ],
)
def test_a_fingerprint_is_crc_64_avro_least_significant_byte_first(schema: str, number: int) -> None:
    assert int.from_bytes(parse_schema(schema).fingerprint, "little", signed=True) == number


@given(cases())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_canonical_form_is_fastavros(case: Case) -> None:
    for schema in (case.writer, case.reader):
        assert canonical(schema.tree) == to_parsing_canonical_form(json.loads(schema.json))


def test_names_in_namespaces_have_their_full_name_in_the_canonical_form() -> None:
    point = {"type": "record", "name": "P", "namespace": "geo", "fields": [field("x", "double")]}
    named = {"type": "record", "name": "R", "namespace": "n", "fields": [field("a", point), field("b", "geo.P")]}
    assert canonical(parse_schema(json.dumps(named)).tree) == to_parsing_canonical_form(named)


def test_documentation_and_defaults_do_not_change_the_fingerprint() -> None:
    assert record(field("a", "int", doc="x", default=3)).fingerprint == record(field("a", "int")).fingerprint


def test_a_single_object_frame_is_ten_bytes() -> None:
    frame = single_object_frame(bytes(range(8)))
    assert frame == bytes.fromhex("c301 0001020304050607")
    assert read_frame(frame + b"x", "auto") == Frame(Fingerprint(bytes(range(8))), 10)


def test_a_confluent_frame_is_the_one_that_confluent_kafka_writes() -> None:
    assert confluent_frame(258) == ConfluentSchemaId("AVRO", 258).id_to_bytes() == bytes.fromhex("00 00000102")
    assert read_frame(confluent_frame(258) + b"x", "auto") == Frame(SchemaId(258), 5)


def test_a_schema_id_in_a_header_leaves_the_value_bare() -> None:
    by_id = ConfluentSchemaId("AVRO", 7).id_to_bytes()
    by_guid = ConfluentSchemaId("AVRO", guid=GUID).guid_to_bytes()
    assert read_frame(b"\x00x", "auto", header=by_id) == Frame(SchemaId(7), 0)
    assert read_frame(b"\x00x", "confluent", header=by_guid) == Frame(SchemaGuid(GUID), 0)


@pytest.mark.parametrize(
    ("value", "input_format"),
    [
        (b"", "auto"),
        (b"\x00\x00", "auto"),
        (b"\xc3\x01\x00", "auto"),
        (b"{}", "auto"),
        (b"\xc3\x01" + b"x" * 9, "confluent"),
        (b"\x00\x00\x00\x00\x01x", "single_object"),
    ],
)
def test_bytes_in_no_known_frame_are_refused_and_never_taken_for_raw(value: bytes, input_format: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_frame(value, input_format)  # type: ignore[arg-type]
    assert refused.value.reason in {Reason.UNKNOWN_FORMAT, Reason.UNDECODABLE}


def test_raw_records_are_read_with_the_one_configured_schema() -> None:
    schema = record(field("a", "int"))
    decoded = decoder(schema, input_format="raw").decode(encoded(schema, {"a": 0}, {"a": 5}), None)
    assert decoded.columns.column("a").to_pylist() == [0, 5]


def test_several_frames_in_one_batch_keep_row_order() -> None:
    reader = record(field("a", "long"))
    writers = [record(field("a", "int"), name="Small"), record(field("x", "string"), field("a", "long"), name="Wide")]
    source = MemorySchemaSource()
    source.add(writers[1].json, schema_id=3, guid=GUID)
    single = [single_object_frame(writers[0].fingerprint) + body for body in encoded(writers[0], {"a": 0}, {"a": 3})]
    wide = encoded(writers[1], {"a": 1, "x": "b"}, {"a": 2, "x": "c"})
    values = [single[0], confluent_frame(3) + wide[0], b"nonsense", wide[1], single[1], None]
    headers = [None, [("trace", b"1")], None, [("__value_schema_id", b"\x01" + bytes.fromhex(GUID.replace("-", "")))]]
    subject = decoder(reader, *writers, sources=source, clock=HandClock())
    decoded = subject.decode(values, [*headers, None, None])
    assert decoded.rows.tolist() == [0, 1, 3, 4]
    assert decoded.columns.column("a").to_pylist() == [0, 1, 2, 3]
    assert [(each.row, each.reason) for each in decoded.rejects] == [
        (2, Reason.UNKNOWN_FORMAT),
        (5, Reason.NULL_INPUT),
    ]


def test_headers_that_do_not_name_a_schema_change_nothing() -> None:
    schema = record(field("a", "int"))
    value = single_object_frame(schema.fingerprint) + encoded(schema, {"a": 9})[0]
    assert decoder(schema).decode([value], [[("traceparent", b"00")]]).columns.column("a").to_pylist() == [9]


def test_an_empty_batch_is_an_empty_batch() -> None:
    decoded = decoder(record(field("a", "int"))).decode([], None)
    assert decoded.columns.num_rows == len(decoded.rows) == len(decoded.rejects) == 0


@given(
    values=st.lists(
        st.tuples(st.sampled_from([b"\xc3\x01aaaaaaaa", b"\xc3\x01aaaaaaab", b"\xc3\x01aaaa"]), st.binary(max_size=3)),
        min_size=1,
        max_size=8,
    )
)
def test_a_value_is_in_the_group_of_its_own_frame_whatever_stands_around_it(values: list[tuple[bytes, bytes]]) -> None:
    framing = Framing("single_object", limit_bytes=100)
    whole = [start + rest for start, rest in values]
    grouped = framing.group(whole, None)
    found = {int(row): group.frame for group in grouped.groups for row in group.rows}
    refused = {reject.row for reject in grouped.rejects}
    for row, value in enumerate(whole):
        alone = framing.group([value], None)
        assert [group.frame for group in alone.groups] == ([found[row]] if row in found else [])
        assert bool(alone.rejects) == (row in refused)
    assert found.keys() | refused == set(range(len(whole)))
