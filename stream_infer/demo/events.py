"""Rows to Avro events, and Avro predictions to answers."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from stream_infer.avro import AvroSchema, load_schema, with_passthrough
from stream_infer.avro.framing import single_object_frame
from stream_infer.avro.spell import Plain
from stream_infer.demo.digits import Rows
from stream_infer.errors import Stop
from stream_infer.settings.paths import shipped_schemas

EVENT_SCHEMA: Final = Path(__file__).with_name("digit_event.avsc")
TRUTH_FIELD: Final = "digit"
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One record to produce."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event lies in the input topic; it names the event, also in its answer."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the demo needs of one prediction.

    `variant` is stable or canary, `happened_s` the event's time, wall-clock seconds.
    """

    position: Position
    version: str
    variant: str
    right: bool
    happened_s: float


class EventWriter:
    """Makes events of rows, over and over: event `number` shows row `number % len(rows)`."""

    def __init__(self, rows: Rows) -> None:
        schema = load_schema(EVENT_SCHEMA)
        self._frame = single_object_frame(schema.fingerprint)
        self._schema = _plain(schema)
        self._features = rows.pixels.tolist()
        self._digits = rows.digits.tolist()

    def event(self, number: int, *, now_s: float) -> Event:
        """Return one event that happens at wall-clock time `now_s`."""
        row = number % len(self._digits)
        entity = f"row-{row}"
        out = BytesIO(self._frame)
        out.seek(len(self._frame))
        record = {
            "event_id": f"event-{number}",
            "entity_id": entity,
            "event_time": int(now_s * _MICROSECONDS),
            "features": self._features[row],
            TRUTH_FIELD: self._digits[row],
        }
        schemaless_writer(out, self._schema, record)
        return Event(entity.encode(), out.getvalue())


class PredictionReader:
    """Reads predictions as the worker writes them with the shipped schema and the digit passed through."""

    def __init__(self) -> None:
        shipped = load_schema(shipped_schemas() / "prediction.avsc")
        schema = with_passthrough(shipped, load_schema(EVENT_SCHEMA), (TRUTH_FIELD,))
        self._frame = single_object_frame(schema.fingerprint)
        self._schema = _plain(schema)

    def read(self, value: bytes) -> Prediction:
        """Return the prediction in `value`; raises Stop when another schema wrote it."""
        if not value.startswith(self._frame):
            raise Stop(
                f"A prediction begins with {value[: len(self._frame)].hex()}, expected {self._frame.hex()}: "
                "something else than this demo's worker writes to its topic."
            )
        found: Any = schemaless_reader(BytesIO(value[len(self._frame) :]), self._schema, None)
        return Prediction(
            position=Position(found["source_partition"], found["source_offset"]),
            version=found["model_version"],
            variant=found["variant"],
            right=found["prediction"] == found[TRUTH_FIELD],
            happened_s=found["event_time"] / _MICROSECONDS,
        )


def _plain(schema: AvroSchema) -> Any:
    """Return the schema for fastavro without logical types: times stay numbers, which costs less."""
    return parse_schema(Plain().spell(schema.record))
