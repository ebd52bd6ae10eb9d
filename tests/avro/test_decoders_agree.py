"""Laws that hold the fast decoder and the reference together."""

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_infer.avro.agreement import agree
from stream_infer.avro.columns import ColumnDecoder, column_decoder
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.resolve import field_steps
from stream_infer.avro.rows import RowDecoder
from stream_infer.avro.samples import samples
from stream_infer.avro.spell import Plain
from stream_infer.avro.writer import WriterDecoder
from tests.avro.made import (
    Case,
    as_record,
    cases,
    decoder,
    encoded,
    fast_or_refused,
    field,
    framed,
    record,
    row_or_refused,
)

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _both(case: Case) -> tuple[ColumnDecoder, RowDecoder]:
    writer, reader = as_record(case.writer.tree), as_record(case.reader.tree)
    fast = column_decoder(writer, reader)
    assert fast is not None
    return fast, RowDecoder(writer, reader)


@QUICK
@given(cases())
def test_both_decoders_make_the_same_columns_whatever_the_reader_changed(case: Case) -> None:
    fast, rows = _both(case)
    bodies = encoded(case.writer, *case.values)
    answer, reference = fast.decode(bodies, 0), rows.decode(bodies)
    assert reference.refused == ()
    assert answer.sound.all()
    assert answer.columns.equals(reference.columns)
    answer.columns.validate(full=True)
    assert answer.columns.schema == case.reader.arrow_schema


@QUICK
@given(cases(), st.data())
def test_whatever_bytes_come_the_fast_decoder_accepts_only_what_the_reference_accepts(
    case: Case, data: st.DataObject
) -> None:
    fast, rows = _both(case)
    body = bytearray(encoded(case.writer, case.values[0])[0])
    for _ in range(data.draw(st.integers(1, 3))):
        match data.draw(st.sampled_from(["flip", "cut", "grow"])):
            case "flip" if body:
                body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
            case "cut":
                body = body[: data.draw(st.integers(0, len(body)))]
            case _:
                body += data.draw(st.binary(min_size=1, max_size=4))
    answer, reference = fast_or_refused(fast, bytes(body)), row_or_refused(rows, bytes(body))
    if answer is not None:
        assert isinstance(reference, pa.RecordBatch)
        assert repr(answer.to_pydict()) == repr(reference.to_pydict()) or _has_repeated_keys(answer)
    elif not isinstance(reference, Refusal):
        # The fast decoder may decline what the reference takes; then the reference answers.
        assert reference.num_rows == 1


def _has_repeated_keys(columns: pa.RecordBatch) -> bool:
    """Return whether there are maps: a key that comes twice is two entries to one decoder and one to the other."""
    return "map<" in str(columns.schema)


@QUICK
@given(cases())
def test_a_generated_schema_is_served_by_the_fast_decoder(case: Case) -> None:
    assert WriterDecoder(case.writer, as_record(case.reader.tree)).is_fast


def test_one_bad_record_costs_its_batch_mates_nothing() -> None:
    schema = record(field("a", "int"), field("s", "string"))
    values = framed(schema, *({"a": row, "s": "x" * row} for row in range(100)))
    values[41] = values[41][:-1]
    values[77] += b"!"
    decoded = decoder(schema).decode(values, None)
    assert decoded.rows.tolist() == [row for row in range(100) if row not in {41, 77}]
    assert decoded.columns.column("a").to_pylist() == decoded.rows.tolist()
    assert [reject.row for reject in decoded.rejects] == [41, 77]


def test_blocks_that_another_client_writes_with_their_size_are_decoded_fast() -> None:
    schema = record(field("xs", {"type": "array", "items": "long"}))
    writer = WriterDecoder(schema, schema.record)
    answer = writer.decode([b"\x03\x04\x02\x04\x02\x06\x00"], 0)  # a block of -2 with 2 bytes, one of 1, the end
    assert answer.parts[0].column("xs").to_pylist() == [[1, 2, 3]]
    assert writer.is_fast


def test_a_schema_with_types_that_columns_cannot_take_is_served_by_the_reference() -> None:
    schema = record(field("f", {"type": "fixed", "name": "F", "size": 3}), field("u", ["null", "int", "string"]))
    decoded = decoder(schema).decode(framed(schema, {"f": b"abc", "u": "x"}, {"f": b"xyz", "u": 4}), None)
    assert decoded.columns.to_pylist() == [{"f": b"abc", "u": "x"}, {"f": b"xyz", "u": 4}]
    assert not WriterDecoder(schema, schema.record).is_fast


def test_a_writer_type_that_the_reader_does_not_need_does_not_cost_the_fast_path() -> None:
    writer = record(field("u", ["null", "string", "boolean"]), field("a", "int"), field("b", "bytes"))
    reader = record(field("a", "int"))
    assert WriterDecoder(writer, reader.record).is_fast
    values = framed(writer, {"u": True, "a": 1, "b": b"\xff"}, {"u": None, "a": 2, "b": b""})
    assert decoder(reader, writer).decode(values, None).columns.column("a").to_pylist() == [1, 2]


def test_a_fast_decoder_that_answers_otherwise_is_not_trusted() -> None:
    schema = record(field("a", "long"), field("b", "long"))
    swapped = [step for step in reversed(field_steps(schema.record, schema.record, "")) if step is not None]
    right = ColumnDecoder(schema.record, schema=schema.arrow_schema, steps=swapped[::-1])
    wrong = ColumnDecoder(schema.record, schema=schema.arrow_schema, steps=swapped)
    rows = RowDecoder(schema.record, schema.record)
    assert agree(schema.tree, fast=right, reference=rows)
    assert not agree(schema.tree, fast=wrong, reference=rows)


@given(st.integers())
@settings(max_examples=20, deadline=None)
def test_samples_of_one_seed_are_always_the_same(seed: int) -> None:
    schema = record(field("a", "long"), field("m", {"type": "map", "values": "string"}))
    assert samples(schema.tree, seed=seed) == samples(schema.tree, seed=seed)
    assert Plain().spell(schema.tree) == Plain().spell(schema.tree)
