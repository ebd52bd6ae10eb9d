"""Schemas by id: asked for once, waited for, given up, and never a request per message."""

import pytest

from stream_infer.avro.framing import confluent_frame
from stream_infer.avro.registry import FORGET_AFTER_S, MAX_ASKS_PER_S, NOT_FOUND_GRACE_S
from stream_infer.errors import Reason, Retry
from stream_infer.testing.schema_source import MemorySchemaSource
from tests.avro.made import HandClock, decoder, encoded, field, record

SCHEMA = record(field("a", "int"))


def _values(schema_id: int, *numbers: int) -> list[bytes]:
    return [confluent_frame(schema_id) + body for body in encoded(SCHEMA, *({"a": each} for each in numbers))]


def test_a_known_schema_is_asked_for_once_and_outlives_the_registry() -> None:
    source = MemorySchemaSource()
    source.add(SCHEMA.json, schema_id=1)
    subject = decoder(SCHEMA, sources=source)
    subject.decode(_values(1, 1, 2), None)
    source.away = True
    assert subject.decode(_values(1, 3), None).columns.column("a").to_pylist() == [3]
    assert source.asked == [1]


def test_while_the_registry_is_away_the_batch_is_retried_and_then_decoded_whole() -> None:
    source = MemorySchemaSource()
    source.add(SCHEMA.json, schema_id=1)
    source.away = True
    subject = decoder(SCHEMA, sources=source)
    values = _values(1, 1, 2)
    with pytest.raises(Retry):
        subject.decode(values, None)
    source.away = False
    assert subject.decode(values, None).columns.column("a").to_pylist() == [1, 2]


def test_a_schema_that_appears_within_the_grace_time_is_used() -> None:
    source, clock = MemorySchemaSource(), HandClock()
    subject = decoder(SCHEMA, sources=source, clock=clock)
    with pytest.raises(Retry, match="schema id 9 is not in the registry yet"):
        subject.decode(_values(9, 1), None)
    clock.now_s += NOT_FOUND_GRACE_S / 2
    source.add(SCHEMA.json, schema_id=9)
    assert subject.decode(_values(9, 1), None).columns.num_rows == 1


def test_a_schema_that_stays_missing_is_a_dead_letter_after_the_grace_time_and_its_batch_mates_are_answered() -> None:
    source, clock = MemorySchemaSource(), HandClock()
    source.add(SCHEMA.json, schema_id=1)
    subject = decoder(SCHEMA, sources=source, clock=clock)
    values = _values(1, 5) + _values(9, 6)
    for _ in range(3_000):
        try:
            decoded = subject.decode(values, None)
            break
        except Retry:
            clock.now_s += 0.05
    assert NOT_FOUND_GRACE_S <= clock.now_s < NOT_FOUND_GRACE_S + 1
    assert decoded.columns.column("a").to_pylist() == [5]
    assert [(each.row, each.reason) for each in decoded.rejects] == [(1, Reason.UNKNOWN_SCHEMA)]
    assert len(source.asked) < 10


def test_an_id_that_was_given_up_is_remembered_and_much_later_asked_for_again() -> None:
    source, clock = MemorySchemaSource(), HandClock()
    subject = decoder(SCHEMA, sources=source, clock=clock)
    with pytest.raises(Retry):
        subject.decode(_values(9, 1), None)
    clock.now_s += NOT_FOUND_GRACE_S
    asked = len(source.asked) + 1
    for _ in range(100):
        assert subject.decode(_values(9, 1), None).rejects[0].reason is Reason.UNKNOWN_SCHEMA
    assert len(source.asked) == asked
    source.add(SCHEMA.json, schema_id=9)
    clock.now_s += FORGET_AFTER_S
    assert subject.decode(_values(9, 1), None).columns.num_rows == 1


def test_a_flood_of_unknown_ids_is_asked_for_at_a_limited_rate() -> None:
    source, clock = MemorySchemaSource(), HandClock()
    subject = decoder(SCHEMA, sources=source, clock=clock)
    values = [value for each in range(1_000) for value in _values(each, 1)]
    for _ in range(5):
        with pytest.raises(Retry):
            subject.decode(values, None)
    assert len(source.asked) <= MAX_ASKS_PER_S


def test_a_registered_schema_that_is_refused_refuses_its_records_only() -> None:
    source = MemorySchemaSource()
    source.add(SCHEMA.json, schema_id=1)
    source.add('{"type": "array", "items": "null"}', schema_id=2)
    source.add('"string"', schema_id=3)
    decoded = decoder(SCHEMA, sources=source).decode(_values(2, 1) + _values(1, 4) + _values(3, 1), None)
    assert decoded.columns.column("a").to_pylist() == [4]
    assert [each.reason for each in decoded.rejects] == [Reason.SCHEMA_REFUSED, Reason.INCOMPATIBLE_SCHEMA]
    assert source.asked == [2, 1, 3]


def test_without_a_registry_a_schema_id_is_a_dead_letter() -> None:
    decoded = decoder(SCHEMA).decode(_values(1, 1), None)
    assert decoded.rejects[0].reason is Reason.UNKNOWN_SCHEMA
    assert "schema_registry.url" in decoded.rejects[0].message


def test_a_fingerprint_that_no_local_schema_has_is_a_dead_letter() -> None:
    other = record(field("b", "string"), name="Other")
    values = [b"\xc3\x01" + other.fingerprint + body for body in encoded(other, {"b": "x"})]
    assert decoder(SCHEMA).decode(values, None).rejects[0].reason is Reason.UNKNOWN_SCHEMA
