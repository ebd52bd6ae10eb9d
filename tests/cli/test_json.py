import json
import math
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema as fastavro_schema
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.avro.from_json import Misfit, from_json
from stream_infer.avro.parse import parse
from stream_infer.avro.rows import ValueDecoder
from stream_infer.avro.spell import Plain
from stream_infer.avro.tree import AvroType
from stream_infer.cli.to_json import headers_to_json, text_or_base64, to_json

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
# One of its many encodings: JSON cannot tell them apart.
NAN = st.just(math.nan)
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}
# A schema, and values as Avro's encoding holds them.
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", INT),
    ("long", LONG),
    ("float", st.floats(width=32, allow_nan=False) | NAN),
    ("double", st.floats(allow_nan=False) | NAN),
    ("string", st.text()),
    ("bytes", st.binary()),
    ({"type": "fixed", "name": "F", "size": 3}, st.binary(min_size=3, max_size=3)),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, st.sampled_from(["A", "B"])),
    ({"type": "long", "logicalType": "timestamp-micros"}, LONG),
    ({"type": "long", "logicalType": "timestamp-millis"}, LONG),
    ({"type": "long", "logicalType": "timestamp-nanos"}, LONG),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, LONG),
    ({"type": "int", "logicalType": "date"}, INT),
    ({"type": "int", "logicalType": "time-millis"}, st.integers(0, 86_399_999)),
    ({"type": "long", "logicalType": "time-micros"}, st.integers(0, 86_399_999_999)),
    (
        DECIMAL,
        st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True)),
    ),
    ({"type": "array", "items": "int"}, st.lists(INT)),
    ({"type": "map", "values": "double"}, st.dictionaries(st.text(), NAN | st.floats(allow_nan=False))),
    (["null", "long"], st.none() | LONG),
    (["null", "string", "double"], st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False)),
]


def encoded(value: Any, avro_type: AvroType) -> bytes:
    out = BytesIO()
    schemaless_writer(out, fastavro_schema(Plain().spell(avro_type)), value)
    return out.getvalue()


@pytest.mark.parametrize(("schema", "values"), KINDS, ids=lambda kind: str(kind)[:60])
@given(data=st.data())
def test_what_consume_prints_produce_takes_back_to_the_same_bytes(
    schema: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    avro_type = parse({"type": "record", "name": "R", "fields": [{"name": "x", "type": schema}]})
    content = encoded({"x": value}, avro_type)
    line = json.dumps(to_json(ValueDecoder(avro_type, avro_type).decode(content), avro_type), allow_nan=False)
    assert encoded(from_json(json.loads(line), avro_type), avro_type) == content


def record(*fields: dict[str, Any]) -> AvroType:
    return parse({"type": "record", "name": "R", "fields": list(fields)})


MICROS = {"type": "long", "logicalType": "timestamp-micros"}


@pytest.mark.parametrize(
    "text", ["2024-05-01T10:00:00Z", "2024-05-01T10:00:00", "2024-05-01T12:00:00+02:00", 1714557600000000]
)
def test_a_time_may_be_iso_8601_or_the_number_itself_and_without_a_zone_it_is_utc(text: Any) -> None:
    assert from_json({"at": text}, record({"name": "at", "type": MICROS})) == {"at": 1714557600000000}


def test_a_field_that_is_left_out_takes_its_default() -> None:
    schema = record(
        {"name": "a", "type": "bytes", "default": "\xff"}, {"name": "b", "type": ["null", "int"], "default": None}
    )
    assert from_json({}, schema) == {"a": b"\xff", "b": None}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("string", 3, "x is 3, expected string"),
        ("int", 2**31, "x is 2147483648, expected int"),
        ("int", True, "x is True, expected int"),
        ("int", "3", "x is '3', expected int"),
        ("float", 1e39, "x is 1e+39, expected a number that a float holds"),
        (MICROS, "yesterday", "x is 'yesterday', expected ISO 8601 text or a number (timestamp-micros)"),
        (["null", "int"], "a", "x is 'a', expected int"),
        (["null", "int", "boolean"], "a", "x is 'a', expected null or int or boolean"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "C", "x is 'C', expected one of A, B"),
        ({"type": "array", "items": "int"}, [1, None], "x[1] is None, expected int"),
        ({"type": "map", "values": "int"}, {"k": "v"}, "x.k is 'v', expected int"),
        ({"type": "fixed", "name": "F", "size": 2}, "AAAA", "x is 'AAAA', expected 2 bytes in base64"),
        ("bytes", "&", "x is '&', expected bytes in base64"),
        (DECIMAL, "1.2345", "x is '1.2345', expected a decimal of 12 digits, 3 of them after the point"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_named_with_its_field(field: Any, value: Any, sentence: str) -> None:
    with pytest.raises(Misfit) as caught:
        from_json({"x": value}, record({"name": "x", "type": field}))
    assert str(caught.value) == sentence


def test_a_missing_and_an_unknown_field_are_named() -> None:
    inner = {"type": "record", "name": "I", "fields": [{"name": "amount", "type": "int"}]}
    schema = record({"name": "order", "type": inner})
    with pytest.raises(Misfit, match=r"^order\.amount is missing, expected int$"):
        from_json({"order": {}}, schema)
    with pytest.raises(Misfit, match=r"^order\.amout is no field of I, expected one that is: amount is near$"):
        from_json({"order": {"amout": 1}}, schema)


def test_bytes_are_text_where_they_can_be_and_base64_otherwise() -> None:
    assert text_or_base64(b"key", name="key") == {"key": "key"}
    assert text_or_base64(None, name="key") == {"key": None}
    assert text_or_base64(b"\xff", name="key") == {"key_base64": "/w=="}


def test_headers_keep_every_value_of_a_name() -> None:
    headers = [("a", b"1"), ("b", None), ("a", b"\xff")]
    assert headers_to_json(headers) == {"a": ["1", {"base64": "/w=="}], "b": None}
