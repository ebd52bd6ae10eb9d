"""Bytes and schemas made to hurt: each is refused for the right reason, fast, in little memory, and alone."""

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_infer.avro.admission import MAX_DECIMAL_BYTES
from stream_infer.avro.agreement import sample_bodies
from stream_infer.avro.columns import ColumnDecoder, Undecided
from stream_infer.avro.framing import single_object_frame
from stream_infer.avro.parse import MAX_DEPTH, MAX_FIELDS
from stream_infer.avro.refusal import SchemaRefused
from stream_infer.avro.schemas import AvroSchema, parse_schema
from stream_infer.avro.writer import WriterDecoder
from stream_infer.errors import Reason
from tests.avro.made import decoder, encoded, field, framed, record

HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # the long 2**63 - 1
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FLOATS = {"type": "array", "items": "float"}
GOOD: dict[str, Any] = {"int": 1, "long": 1, "string": "x", "boolean": True}


def _good(kind: Any) -> Any:
    match kind:
        case str():
            return GOOD[kind]
        case list():
            return None
        case {"type": "enum"}:
            return "A"
        case {"type": "bytes"}:
            return b"\x01"
        case {"type": "map"}:
            return {}
        case _:
            return []


@pytest.mark.parametrize(
    ("kind", "body", "reason", "words"),
    [
        (FLOATS, HUGE, Reason.UNDECODABLE, "claims 9223372036854775807 items"),
        ({"type": "map", "values": "int"}, HUGE, Reason.UNDECODABLE, "claims 9223372036854775807 items"),
        ({"type": "array", "items": "string"}, b"\x10\x00\x00", Reason.UNDECODABLE, "claims 8 items"),
        ("string", HUGE, Reason.UNDECODABLE, "claims 9223372036854775807 bytes"),
        ("string", b"\x01", Reason.UNDECODABLE, "claims -1 bytes"),
        ("string", b"\x04\xff\xfe", Reason.UNDECODABLE, "no UTF-8"),
        ("string", b"\x04a", Reason.UNDECODABLE, "claims 2 bytes"),
        ("int", b"\x80\x80\x80\x80\x20", Reason.UNDECODABLE, "expected an int"),
        ("long", b"\x80" * 11, Reason.UNDECODABLE, "inside a number"),
        ("boolean", b"\x02", Reason.UNDECODABLE, "expected a boolean"),
        (["null", "int"], b"\x01", Reason.UNDECODABLE, "union branch -1"),
        (["null", "int"], b"\x04", Reason.UNDECODABLE, "union branch 2"),
        (ENUM, b"\x01", Reason.UNDECODABLE, "symbol number -1"),
        (ENUM, b"\x04", Reason.UNDECODABLE, "symbol number 2"),
        (DECIMAL, b"\x80\x80\x80\x01" + bytes(1_048_576), Reason.UNDECODABLE, f"at most {MAX_DECIMAL_BYTES}"),
        (DECIMAL, b"\x10" + b"\x7f" * 8, Reason.UNDECODABLE, "does not fit its column"),
        ("int", b"\x02\x02", Reason.TRAILING_BYTES, "1 of 2 bytes are left"),
        ("int", b"", Reason.UNDECODABLE, "inside a number"),
        ("int", b"\x00" * 3_000_000, Reason.TOO_LARGE, "max_record_bytes"),
    ],
)
def test_hostile_bytes_are_refused_fast_and_alone(kind: Any, body: bytes, reason: Reason, words: str) -> None:
    schema = record(field("v", kind))
    subject = decoder(schema, limit=2_000_000)
    good = framed(schema, {"v": _good(kind)})[0]
    values = [good, single_object_frame(schema.fingerprint) + body, good]
    subject.decode([good], None)
    took_s, peak_bytes = _cost(lambda: subject.decode(values, None))
    decoded = subject.decode(values, None)
    assert decoded.rows.tolist() == [0, 2]
    assert [(each.row, each.reason) for each in decoded.rejects] == [(1, reason)]
    assert words in decoded.rejects[0].message
    assert took_s < 0.010
    # Copies of the value itself are the only thing that may grow with it.
    assert peak_bytes < 1_000_000 + 4 * len(body)


def _cost(call: Any) -> tuple[float, int]:
    times = []
    for _ in range(3):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times), peak


def _nested(depth: int, *, inside: str = "int") -> Any:
    kind: Any = inside
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


def _refused(schema: Any) -> str:
    start = time.process_time()
    with pytest.raises(SchemaRefused) as refused:
        parse_schema(schema if isinstance(schema, str) else json.dumps(schema))
    assert time.process_time() - start < 0.25
    return str(refused.value)


RECURSIVE = {"type": "record", "name": "Node", "fields": [field("next", ["null", "Node"])]}


def _twice(number: int) -> Any:
    before = f"T{number - 1}"
    return {"type": "record", "name": f"T{number}", "fields": [field("l", before), field("r", before)]}


DOUBLING = {
    "type": "record",
    "name": "R",
    "fields": [
        field("f0", {"type": "record", "name": "T0", "fields": [field("x", "int")]}),
        *(field(f"f{n}", _twice(n)) for n in range(1, 30)),
    ],
}
CHAINED = {
    "type": "record",
    "name": "R",
    "fields": [
        field("f0", {"type": "record", "name": "T0", "fields": [field("x", _nested(20))]}),
        field("f1", {"type": "record", "name": "T1", "fields": [field("x", _nested(10, inside="T0"))]}),
    ],
}
WIDE_NULL = ["null", {"type": "record", "name": "W", "fields": [field(f"f{n}", "long") for n in range(500)]}]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (RECURSIVE, "contains itself"),
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "map", "values": "null"}, "take no bytes"),
        ({"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}, "take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "take no bytes"),
        ({"type": "array", "items": WIDE_NULL}, "expected at most"),
        ({"type": "fixed", "name": "F", "size": 65, "logicalType": "decimal", "precision": 9}, "65 bytes"),
        ({"type": "enum", "name": "E", "symbols": []}, "no symbols"),
        (_nested(MAX_DEPTH + 1), "deeper than"),
        (CHAINED, "deeper than"),
        (DOUBLING, f"more than {MAX_FIELDS} fields"),
        ([["null"]], "union"),
        ({"type": "record", "name": "R", "fields": [field("a-b", "int")]}, "'a-b' is no Avro name"),
        ({"type": "enum", "name": "E", "symbols": ["A", "A"]}, "one twice"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 10**9, "scale": 2}, "expected at most 153"),
        ({"type": "fixed", "name": "F", "size": 2**40}, "expected 0 to"),
        ({"type": "record", "name": "R", "fields": [field("a", "int"), field("a", "int")]}, "two fields of one name"),
        ({"type": "record", "name": "R"}, "malformed"),
        ({"type": "record", "name": "R", "fields": [field("a", "Missing")]}, "not defined"),
        ("[" * 100_000, "not valid Avro"),
        ("not json", "not valid Avro"),
        ("3", "expected a type's name"),
        (" " * 2_000_000, "expected at most"),
    ],
)
def test_hostile_schemas_are_refused_before_any_record_of_theirs_is_read(schema: Any, words: str) -> None:
    assert words in _refused(schema)


def test_a_type_used_in_several_places_is_no_recursion() -> None:
    point = {"type": "record", "name": "P", "namespace": "geo", "fields": [field("x", "double")]}
    schema = record(field("a", point), field("b", "geo.P"), field("c", {"type": "array", "items": "geo.P"}))
    value = {"a": {"x": 1.0}, "b": {"x": 2.0}, "c": [{"x": 3.0}]}
    assert decoder(schema).decode(framed(schema, value), None).columns.to_pylist() == [value]


_names = st.sampled_from(
    ["", *["null", "int", "string", "bytes", "record", "array", "map", "enum", "fixed", "R", "x.R"]]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | _names,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {"type": inner},
            optional=dict.fromkeys(
                ("name", "namespace", "items", "values", "fields", "symbols", "size", "default", "aliases"), inner
            )
            | {"logicalType": st.just("decimal"), "precision": inner, "scale": inner},
        )
    ),
)


@given(_json)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_schema_says_it_is_admitted_or_refused_and_then_serves_samples(schema: Any) -> None:
    try:
        admitted = parse_schema(json.dumps({"type": "record", "name": "Top", "fields": [field("v", schema)]}))
    except SchemaRefused:
        return
    bodies = sample_bodies(admitted.tree)
    answer = WriterDecoder(admitted, admitted.record).decode(bodies, 0)
    assert sum(map(len, answer.kept)) + len(answer.refused) == len(bodies)


def test_a_deep_schema_is_sampled_in_no_time() -> None:
    schema = record(field("v", _nested(MAX_DEPTH - 2)))
    start = time.process_time()
    assert WriterDecoder(schema, schema.record).is_fast
    assert time.process_time() - start < 1.0


def test_a_panic_of_the_fast_decoder_is_an_answer_and_no_crash() -> None:
    schema = record(field("b", {"type": "fixed", "name": "F", "size": 1}))
    panics = ColumnDecoder(schema.record, schema=schema.arrow_schema, steps=[])
    with pytest.raises(Undecided):
        panics.decode(encoded(schema, {"b": b"x"}), 0)


def test_many_bad_records_among_good_ones_stay_cheap() -> None:
    schema: AvroSchema = record(field("v", FLOATS))
    values = framed(schema, *({"v": [1.0] * 32} for _ in range(512)))
    for row in range(0, 512, 7):
        values[row] = values[row][:40]
    subject = decoder(schema)
    subject.decode(values, None)
    took_s, _ = _cost(lambda: subject.decode(values, None))
    assert took_s < 0.5
