"""Few rows are filled in as Python values, many as columns: what is written must be the same."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.avro import parse_schema
from stream_infer.clock import SystemClock
from stream_infer.model import LoadedVersion, Scored, load_version, open_device
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.encode import Encoded, PredictionEncoder
from stream_infer.pipeline.fills import key_column
from stream_infer.pipeline.infer import Inferred, Served
from stream_infer.records import Partition, Place, Records, Run
from stream_infer.scoring import Codec
from stream_infer.settings import load_settings
from tests.pipeline.scored import write_lookup

MANY = 17
"""Rows from which on they are columns."""
NOW_S = 1_700_000_000.123_456
LABELS = ("no", "yes")
TEXT, WHOLE, FLOATS = ("string",), ("long", "int", "double", "string"), {"type": "array", "items": "float"}
TIMES = [{"type": "long", "logicalType": f"timestamp-{unit}"} for unit in ("millis", "micros", "nanos")]
VARIANTS = {"type": "enum", "name": "V", "symbols": ["stable", "canary"]}
WORDS = {"type": "enum", "name": "L", "symbols": ["no", "yes"]}
ONLY_NO = {"type": "enum", "name": "L", "symbols": ["no"]}
KINDS: dict[str, tuple[object, ...]] = {
    "event_id": TEXT,
    "entity_id": TEXT,
    "event_time": (*TIMES, "long"),
    "model_name": TEXT,
    "model_version": TEXT,
    "model_digest": TEXT,
    "revision": WHOLE,
    "variant": ("string", VARIANTS),
    "inferred_at": (*TIMES, "long", "double", "string"),
    "prediction": ("double", "float", "long", "string"),
    "label": ("string", WORDS, ONLY_NO),
    "confidence": ("float", "double"),
    "scores": (FLOATS, {"type": "array", "items": "double"}),
    "source_topic": TEXT,
    "source_partition": ("int", "long", "string"),
    "source_offset": WHOLE,
}
COPIED: dict[str, tuple[object, tuple[object, ...]]] = {
    "text": ("string", ("a", "", "\u00fc")),
    "whole": ("int", (0, -1, 7)),
    "flag": ("boolean", (True, False)),
    "real": ("float", (0.5, -0.0, 1e9)),
    "raw": ("bytes", (b"", b"x")),
    "fixed": ({"type": "fixed", "name": "F", "size": 2}, (b"ab", b"cd")),
    "word": ({"type": "enum", "name": "W", "symbols": ["b", "a"]}, ("a", "b")),
    "when": (TIMES[1], (0, 1_700_000_000_123_456)),
    "maybe": (["null", "double"], (None, 1.5)),
    "many": ({"type": "array", "items": "int"}, ([], [1, 2])),
    "inner": ({"type": "record", "name": "I", "fields": [{"name": "a", "type": "int"}]}, ({"a": 1}, {"a": -1})),
}
"""Input fields that are passed through, and values of theirs."""
KEYED = ("event_id", "entity_id")
READER = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "E",
            "fields": [
                {"name": "event_id", "type": "string"},
                {"name": "entity_id", "type": ["null", "string"]},
                {"name": "event_time", "type": TIMES[0]},
                *({"name": name, "type": kind} for name, (kind, _) in COPIED.items()),
            ],
        }
    )
)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch holds: `partitions` of its records, which of them were scored, and what the model said of those."""

    partitions: list[int]
    is_scored: list[bool]
    is_withheld: list[bool]
    is_retried: bool
    is_named: bool
    predicts: bool


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    count = draw(st.integers(1, MANY - 1))
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    is_scored = draw(st.one_of(st.just([True] * count), flags))
    return Rows(
        partitions=draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)),
        is_scored=is_scored if any(is_scored) else [True] * count,
        is_withheld=draw(st.one_of(st.just([False] * count), flags)),
        is_retried=draw(st.booleans()),
        is_named=draw(st.booleans()),
        predicts=draw(st.booleans()),
    )


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    return load_version(write_lookup(tmp_path_factory.mktemp("models")), device=open_device("cpu"), batch_size=MANY)


def encoder_for(output: Path, *more: str) -> PredictionEncoder:
    sets = [f"schemas.output={output}", "schemas.output_format=raw", *more]
    return Codec(load_settings(None, sets, {}), READER, SystemClock()).prediction_encoder()


def batch(one: Rows, version: LoadedVersion, *, times: int) -> Inferred:
    """Return the rows, so many times over."""
    scored = np.flatnonzero(np.array(one.is_scored * times))
    kinds = (scored % len(one.partitions)).tolist()
    columns = [
        pa.array([f"e{kind}" for kind in kinds]),
        pa.array([None if kind == 1 else "x" for kind in kinds], pa.string()),
        pa.array([1_000 + kind for kind in kinds], READER.arrow_schema.field("event_time").type),
        *(
            pa.array([values[kind % len(values)] for kind in kinds], READER.arrow_schema.field(name).type)
            for name, (_, values) in COPIED.items()
        ),
    ]
    keys = [pa.array([None if kind == 2 else f"k{kind}" for kind in kinds], pa.string()) for _ in KEYED]
    return Inferred(
        _records(one.partitions * times, is_retried=one.is_retried, every=len(one.partitions)),
        Served(Serving(3, version), Variant.STABLE),
        pa.RecordBatch.from_arrays([*columns, *keys], names=[*READER.arrow_schema.names, *map(key_column, KEYED)]),
        rows=scored,
        rejects=(),
        skipped=0,
        scored=_scored(one, scored % len(one.partitions)),
    )


def _records(partitions: list[int], *, is_retried: bool, every: int) -> Records:
    count = len(partitions)
    edges = [0, *(at for at in range(1, count) if partitions[at] != partitions[at - 1]), count]
    origins = [Place(Partition("before", 7), row % every) if row % 2 else None for row in range(count)]
    return Records(
        runs=tuple(
            Run(Partition(f"in{partitions[start] // 2}", partitions[start]), 1, start, stop)
            for start, stop in pairwise(edges)
        ),
        offsets=np.arange(count) % every,
        timestamps_ms=np.arange(count),
        keys=[None] * count,
        values=[b""] * count,
        headers=None,
        arrived_s=0.0,
        origins=origins if is_retried and every % 2 == 0 else None,
    )


def _scored(one: Rows, kinds: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Scored:
    scores = np.stack([kinds / 8, 1 - kinds / 8], axis=1).astype(np.float32)
    withheld = np.array(one.is_withheld)[kinds]
    return Scored(
        scores,
        prediction=(kinds % 2).astype(np.float64) if one.predicts else None,
        label_index=kinds % 2 if one.is_named else None,
        labels=LABELS if one.is_named else None,
        confidence=scores[:, 0] if one.predicts else None,
        withheld=withheld if withheld.any() else None,
    )


def seen(encoded: Encoded, *, rows: int) -> tuple[dict[int, bytes], set[int]]:
    written = {row: value for row, value in zip(encoded.rows, encoded.values, strict=True) if row < rows}
    return written, {reject.row for reject in encoded.rejects if reject.row < rows}


FIELDS = [
    {"name": name, "type": kind}
    for name, kinds in KINDS.items()
    for plain in kinds
    for kind in (plain, ["null", plain], [plain, "null"])
]


def name(field: dict[str, object]) -> str:
    return json.dumps(field).replace(" ", "")


@pytest.mark.parametrize("field", FIELDS, ids=name)
def test_few_rows_are_written_as_they_are_among_many(
    field: dict[str, object], version: LoadedVersion, tmp_path: Path
) -> None:
    law_of(encoder_for(written(tmp_path, field)), version)


@pytest.mark.parametrize("field", COPIED)
def test_few_rows_of_a_field_that_is_passed_through_are_written_as_among_many(
    field: str, version: LoadedVersion, tmp_path: Path
) -> None:
    output = written(tmp_path, {"name": "event_id", "type": "string"})
    law_of(encoder_for(output, f"schemas.passthrough={field}"), version)


@pytest.mark.parametrize("field", KEYED)
@pytest.mark.parametrize("kind", ["string", ["null", "string"]], ids=str)
def test_few_rows_of_a_field_out_of_the_key_are_written_as_among_many(
    field: str, kind: object, version: LoadedVersion, tmp_path: Path
) -> None:
    output = written(tmp_path, {"name": field, "type": kind})
    law_of(encoder_for(output, f"schemas.fields.{field}=key.user"), version)


def written(folder: Path, field: dict[str, object]) -> Path:
    """Write a prediction schema of one field."""
    output = folder / "output.avsc"
    output.write_text(json.dumps({"type": "record", "name": "P", "fields": [field]}))
    return output


def law_of(encoder: PredictionEncoder, version: LoadedVersion) -> None:
    """Hold the encoder against itself: rows alone, and the same rows among many."""

    @given(one=rows())
    @settings(deadline=None, max_examples=30)
    def law(one: Rows) -> None:
        count = len(one.partitions)
        few, many = batch(one, version, times=1), batch(one, version, times=MANY)
        assert few.scored is not None
        assert many.scored is not None
        found = seen(encoder.encode(few, few.scored, now_s=NOW_S), rows=count)
        assert found == seen(encoder.encode(many, many.scored, now_s=NOW_S), rows=count)

    law()
