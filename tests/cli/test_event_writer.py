import json
import uuid
from typing import Any

import pytest

from stream_infer.avro import parse_schema
from stream_infer.avro.from_json import Misfit
from stream_infer.avro.rows import ValueDecoder
from stream_infer.cli.event_writer import EventWriter
from stream_infer.settings import SchemaFields

SCHEMA = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "Event",
            "fields": [
                {"name": "event_id", "type": "string"},
                {"name": "entity_id", "type": ["null", "string", "long"], "default": None},
                {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                {
                    "name": "card",
                    "type": {"type": "record", "name": "Card", "fields": [{"name": "number", "type": "long"}]},
                    "default": {"number": 0},
                },
            ],
        }
    )
)


class StoppedClock:
    def monotonic_s(self) -> float:
        return 0.0

    def wall_s(self) -> float:
        return 1714557600.5


def writer(key_field: str | None = "entity_id", frame: bytes = b"") -> EventWriter:
    return EventWriter(SCHEMA, frame=frame, key_field=key_field, fields=SchemaFields(), clock=StoppedClock())


def value_of(content: bytes) -> Any:
    return ValueDecoder(SCHEMA.tree, SCHEMA.tree).decode(content)


def test_a_line_without_id_and_time_gets_a_new_id_and_now() -> None:
    first, second = (value_of(writer().event("{}").value) for _ in range(2))
    assert first["event_time"] == 1714557600500
    assert uuid.UUID(first["event_id"]) != uuid.UUID(second["event_id"])


def test_an_id_and_a_time_that_are_given_are_kept() -> None:
    value = value_of(writer().event('{"event_id": "e", "event_time": 5}').value)
    assert (value["event_id"], value["event_time"]) == ("e", 5)


@pytest.mark.parametrize(
    ("path", "key"),
    [("entity_id", b"7"), ("card.number", b"12"), (None, None)],
)
def test_the_key_is_the_text_of_the_field_that_is_asked_for(path: str | None, key: bytes | None) -> None:
    assert writer(path).event('{"entity_id": "7", "card": {"number": 12}}').key == key


def test_a_null_makes_no_key() -> None:
    assert writer().event("{}").key is None


def test_the_frame_goes_before_the_value() -> None:
    line = '{"event_id": "e", "event_time": 5}'
    assert writer(frame=b"\x00abcd").event(line).value == b"\x00abcd" + writer().event(line).value


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "the line is not valid JSON: "),
        ("[1]", "the line is '[1]', expected a JSON object"),
        ('{"event_id": 3}', "event_id is 3, expected string"),
    ],
)
def test_a_line_that_is_no_event_says_why(line: str, sentence: str) -> None:
    with pytest.raises(Misfit) as caught:
        writer().event(line)
    assert str(caught.value).startswith(sentence)


def test_a_key_of_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(Misfit, match=r"card\.name is no field of Event"):
        writer("card.name").event("{}")
