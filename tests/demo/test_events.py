from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fastavro import parse_schema, schemaless_writer

from stream_infer.avro import AvroSchema, Decoder, load_schema, with_passthrough
from stream_infer.avro.framing import single_object_frame
from stream_infer.avro.spell import Plain
from stream_infer.clock import SystemClock
from stream_infer.demo.digits import CLASSES, PIXELS, Rows, load_digits
from stream_infer.demo.events import EVENT_SCHEMA, EventWriter, Position, Prediction, PredictionReader
from stream_infer.errors import Stop
from stream_infer.settings.paths import shipped_schemas

ROWS = Rows(np.linspace(0, 1, 3 * PIXELS, dtype=np.float32).reshape(3, PIXELS), np.array([4, 0, 9]))


def decoded(values: list[bytes]) -> dict[str, list[Any]]:
    decoder = Decoder(
        load_schema(EVENT_SCHEMA),
        input_format="auto",
        sources=None,
        local=(),
        max_record_bytes=10_000,
        clock=SystemClock(),
    )
    found = decoder.decode(list(values), None)
    assert found.rejects == ()
    columns: dict[str, list[Any]] = found.columns.to_pydict()
    return columns


def prediction_schema() -> AvroSchema:
    return with_passthrough(load_schema(shipped_schemas() / "prediction.avsc"), load_schema(EVENT_SCHEMA), ("digit",))


def written(**fields: object) -> bytes:
    record = {
        "event_id": "event-1",
        "entity_id": "row-1",
        "event_time": 2_500_000,
        "model_name": "digits",
        "model_version": "1",
        "model_digest": "f" * 64,
        "revision": 0,
        "variant": "stable",
        "prediction": 4.0,
        "label": "4",
        "confidence": 0.9,
        "scores": [0.1] * CLASSES,
        "source_topic": "events",
        "source_partition": 3,
        "source_offset": 17,
        "inferred_at": 3_000_000,
        "digit": 4,
    }
    out = BytesIO()
    schemaless_writer(out, parse_schema(Plain().spell(prediction_schema().record)), record | fields)
    return single_object_frame(prediction_schema().fingerprint) + out.getvalue()


def test_the_worker_reads_from_an_event_what_the_row_holds() -> None:
    writer = EventWriter(ROWS)
    events = [writer.event(number, now_s=12.5) for number in range(5)]
    columns = decoded([event.value for event in events])
    assert columns["digit"] == [4, 0, 9, 4, 0]
    assert columns["features"] == ROWS.pixels[[0, 1, 2, 0, 1]].tolist()
    assert [time.timestamp() for time in columns["event_time"]] == [12.5] * 5
    assert len(set(columns["event_id"])) == 5
    assert [event.key.decode() for event in events] == columns["entity_id"]


def test_a_prediction_says_which_event_it_answers_and_whether_it_is_right() -> None:
    found = PredictionReader().read(written())
    assert found == Prediction(Position(3, 17), "1", "stable", right=True, happened_s=2.5)


def test_a_prediction_says_whether_a_canary_made_it() -> None:
    assert PredictionReader().read(written(variant="canary")).variant == "canary"


@pytest.mark.parametrize("wrong", [5.0, None])
def test_another_digit_or_none_is_wrong(wrong: float | None) -> None:
    assert not PredictionReader().read(written(prediction=wrong)).right


def test_what_another_schema_wrote_is_refused_in_one_sentence() -> None:
    with pytest.raises(Stop, match="begins with 00, expected c301"):
        PredictionReader().read(b"\x00")


def test_no_row_is_both_learnt_from_and_streamed() -> None:
    digits, again = load_digits(), load_digits()
    learnt = {row.tobytes() for row in digits.train.pixels}
    assert not any(row.tobytes() in learnt for row in digits.held_out.pixels)
    assert (digits.held_out.pixels == again.held_out.pixels).all()
    assert set(digits.held_out.digits.tolist()) == set(range(CLASSES))
    assert digits.train.pixels.shape == (len(digits.train), PIXELS)
