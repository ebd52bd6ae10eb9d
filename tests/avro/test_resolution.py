"""Avro's rules for reading with another schema than was written with, as a table; both decoders answer the same."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from stream_infer.avro.columns import column_decoder
from stream_infer.avro.refusal import Incompatible
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.samples import samples
from stream_infer.errors import Reason, WrongUse
from tests.avro.made import decoder, encoded, fast_or_refused, field, framed, record

ABC = {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
UTC = dt.UTC


def decimal(scale: int) -> Any:
    return {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale}


@pytest.mark.parametrize(
    ("writer", "reader", "value", "expected"),
    [
        ("int", "long", -7, -7),
        ("int", "float", 7, 7.0),
        ("int", "double", 7, 7.0),
        ("long", "float", 2**62, 2.0**62),
        ("long", "double", 7, 7.0),
        ("float", "double", 0.5, 0.5),
        ("string", "bytes", "\u00e9", "\u00e9".encode()),
        ("bytes", "string", "\u00e9".encode(), "\u00e9"),
        ("int", ["null", "long"], 7, 7),
        (["null", "int"], ["double", "null"], None, None),
        (["null", "int"], ["double", "null"], 7, 7.0),
        (["string", "null"], "string", "x", "x"),
        (["int", "string"], ["null", "string"], "x", "x"),
        ("null", ["null", "int"], None, None),
        (ABC, {**ABC, "symbols": ["C", "A"], "default": "A"}, "B", "A"),
        (ABC, {**ABC, "symbols": ["C", "A"]}, "C", "C"),
        (ABC, {**ABC, "name": "com.example.Other"}, "B", "B"),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "float"}, [1, 2], [1.0, 2.0]),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}, {"k": 1}, [("k", 1)]),
        (MICROS, MICROS, 1, dt.datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)),
        ("long", MICROS, 1, dt.datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)),
        (MICROS, "long", 1, 1),
        ({"type": "int", "logicalType": "date"}, {"type": "int", "logicalType": "date"}, 1, dt.date(1970, 1, 2)),
        (
            {"type": "int", "logicalType": "time-millis"},
            {"type": "int", "logicalType": "time-millis"},
            1000,
            dt.time(second=1),
        ),
        ({"type": "string", "logicalType": "uuid"}, "string", "u", "u"),
        (decimal(2), decimal(2), b"\xff\x38", Decimal("-2.00")),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "G", "size": 2}, b"ab", b"ab"),
    ],
)
def test_a_value_resolves(writer: Any, reader: Any, value: Any, expected: Any) -> None:
    written, read = record(field("v", writer)), record(field("v", reader))
    decoded = decoder(read, written).decode(framed(written, {"v": value}), None)
    assert decoded.rejects == ()
    assert decoded.columns.to_pylist() == [{"v": expected}]
    _assert_fast_agrees(written, read, value)


def _assert_fast_agrees(written: Any, read: Any, value: Any) -> None:
    fast = column_decoder(written.record, read.record)
    if fast is not None:
        reference = RowDecoder(written.record, read.record).decode(encoded(written, {"v": value}))
        answer = fast_or_refused(fast, encoded(written, {"v": value})[0])
        assert answer is not None
        assert answer.equals(reference.columns)


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("string", "int"),
        ("long", "int"),
        ("double", "float"),
        ("null", "int"),
        ({"type": "array", "items": "string"}, {"type": "array", "items": "int"}),
        (["null", "string"], ["null", "int"]),
        (["string", "boolean"], "int"),
        (MILLIS, MICROS),
        (decimal(2), decimal(3)),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}),
        ("int", {"type": "record", "name": "I", "fields": []}),
    ],
)
def test_a_writer_schema_that_can_never_be_read_refuses_its_own_records_only(writer: Any, reader: Any) -> None:
    written, read = record(field("v", writer), name="Written"), record(field("v", reader))
    with pytest.raises(Incompatible, match="field v"):
        column_decoder(written.record, read.record)
    decoded = decoder(read, written).decode(framed(written, samples(written.tree)[0]), None)
    assert [each.reason for each in decoded.rejects] == [Reason.INCOMPATIBLE_SCHEMA]


@pytest.mark.parametrize(
    ("writer", "reader", "good", "bad"),
    [
        (["null", "int"], "int", 1, None),
        (ABC, {**ABC, "symbols": ["A"]}, "A", "B"),
        (["int", "string"], "long", 1, "x"),
        ({"type": "array", "items": ["null", "int"]}, {"type": "array", "items": "int"}, [1], [1, None]),
    ],
)
def test_a_value_without_a_place_in_the_reader_refuses_its_record_only(
    writer: Any, reader: Any, good: Any, bad: Any
) -> None:
    written, read = record(field("v", writer)), record(field("v", reader))
    decoded = decoder(read, written).decode(framed(written, {"v": good}, {"v": bad}, {"v": good}), None)
    assert decoded.rows.tolist() == [0, 2]
    assert [(each.row, each.reason) for each in decoded.rejects] == [(1, Reason.INCOMPATIBLE_SCHEMA)]


def test_fields_are_added_removed_reordered_and_renamed() -> None:
    written = record(field("a", "int"), field("gone", "string"), field("old", "string"))
    read = record(
        field("fresh", "bytes", default="\u00ff"),
        field("renamed", "string", aliases=["other", "old"]),
        field("a", "long"),
        field("some", {"type": "array", "items": "int"}, default=[1, 2]),
        field("part", {"type": "record", "name": "P", "fields": [field("x", "int", default=4)]}, default={}),
        field("maybe", ["null", "double"], default=None),
    )
    decoded = decoder(read, written).decode(framed(written, {"a": 1, "gone": "g", "old": "o"}), None)
    assert decoded.columns.to_pylist() == [
        {"fresh": b"\xff", "renamed": "o", "a": 1, "some": [1, 2], "part": {"x": 4}, "maybe": None}
    ]


def test_a_new_field_without_a_default_is_incompatible() -> None:
    written, read = record(field("a", "int"), name="Written"), record(field("b", "int"))
    decoded = decoder(read, written).decode(framed(written, {"a": 1}), None)
    assert decoded.rejects[0].reason is Reason.INCOMPATIBLE_SCHEMA
    assert "field b" in decoded.rejects[0].message


def test_two_fields_that_claim_one_of_the_writers_are_incompatible() -> None:
    written, read = (
        record(field("a", "int"), name="Written"),
        record(field("a", "int"), field("b", "int", aliases=["a"])),
    )
    assert decoder(read, written).decode(framed(written, {"a": 1}), None).rejects[0].reason is (
        Reason.INCOMPATIBLE_SCHEMA
    )


def test_a_needed_field_that_the_reader_schema_does_not_have_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match="no field 'nope' in R: expected one of a"):
        decoder(record(field("a", "int")), fields=("nope",))


def test_only_the_fields_that_somebody_needs_become_columns_in_the_readers_order() -> None:
    schema = record(field("a", "int"), field("b", "string"), field("c", "int"))
    decoded = decoder(schema, fields=("c", "a")).decode(framed(schema, {"a": 1, "b": "x", "c": 3}), None)
    assert decoded.columns.to_pydict() == {"a": [1], "c": [3]}


def test_a_field_that_nobody_needs_may_be_missing_from_the_writer() -> None:
    written, read = record(field("a", "int"), name="Written"), record(field("a", "int"), field("b", "int"))
    decoded = decoder(read, written, fields=("a",)).decode(framed(written, {"a": 1}), None)
    assert decoded.columns.to_pydict() == {"a": [1]}


def test_null_records_keep_their_rows_and_their_non_null_fields_do_not_matter() -> None:
    inner = {"type": "record", "name": "I", "fields": [field("x", ["null", "int"]), field("s", "string")]}
    wanted = {"type": "record", "name": "I", "fields": [field("x", "int")]}
    written, read = record(field("v", ["null", inner])), record(field("v", ["null", wanted]))
    values = [{"v": None}, {"v": {"x": 3, "s": ""}}, {"v": None}]
    decoded = decoder(read, written).decode(framed(written, *values), None)
    assert decoded.columns.column("v").to_pylist() == [None, {"x": 3}, None]
