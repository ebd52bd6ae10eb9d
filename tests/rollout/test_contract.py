"""Whether a version fits the events, and the version before it."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.avro import AvroSchema, parse_schema
from stream_infer.errors import Reason
from stream_infer.model.columns import read_rows
from stream_infer.model.manifest import FileEntry, Input, Manifest, Outputs
from stream_infer.rollout.contract import Meaning, check_inputs, check_outputs

FIELDS: dict[str, Any] = {
    "features": {"type": "array", "items": "float"},
    "maybe": ["null", {"type": "array", "items": ["null", "double"]}],
    "words": {"type": "array", "items": "string"},
    "amount": "double",
    "age": ["null", "int"],
    "known": "boolean",
    "name": "string",
    "when": {"type": "long", "logicalType": "timestamp-micros"},
    "either": ["int", "string"],
    "lookup": {"type": "map", "values": "float"},
    "nothing": "null",
    "user": {
        "type": "record",
        "name": "User",
        "fields": [{"name": "score", "type": "float"}, {"name": "email", "type": "string"}],
    },
}


def schema_of(**fields: Any) -> AvroSchema:
    listed = [{"name": name, "type": kind} for name, kind in fields.items()]
    return parse_schema(json.dumps({"type": "record", "name": "Event", "fields": listed}))


EVENTS = schema_of(**FIELDS)


def manifest(*inputs: Input, **outputs: Any) -> Manifest:
    return Manifest(
        format="export",
        artifact="model.pt2",
        inputs=inputs or (array("features"),),
        outputs=Outputs(**{"task": "raw"} | outputs),
        files={"model.pt2": FileEntry(sha256="0" * 64, size_bytes=1)},
    )


def array(field: str, dtype: Any = "float32") -> Input:
    return Input(name="x", field=field, dtype=dtype, shape=(4,))


def scalar(field: str, dtype: Any = "float32") -> Input:
    return Input(name="x", field=field, dtype=dtype, shape=())


def table(*fields: str, dtype: Any = "float32") -> Input:
    return Input(name="x", fields=fields, dtype=dtype)


@pytest.mark.parametrize(
    "spec",
    [
        array("features"),
        array("maybe"),
        scalar("amount"),
        scalar("user.score"),
        scalar("known", "bool"),
        table("amount", "age", "known", "user.score"),
        table("age", dtype="uint8"),
        scalar("nothing"),
    ],
)
def test_a_version_fits_when_its_fields_can_be_its_tensors(spec: Input) -> None:
    assert check_inputs(manifest(spec), EVENTS) == []


KNOWN = ", ".join(FIELDS)


@pytest.mark.parametrize(
    ("spec", "sentences"),
    [
        (array("feature"), [f"input x reads the field feature, expected one that events have: {KNOWN}"]),
        (
            table("amount", "user.age", "nobody"),
            [
                f"input x reads the field user.age, expected one that events have: {KNOWN}",
                f"input x reads the field nobody, expected one that events have: {KNOWN}",
            ],
        ),
        (array("amount"), ["input x: field amount is double, expected an array of 4 float32"]),
        (array("words"), ["input x: field words is list<item: string>, expected an array of 4 float32"]),
        (array("features", "int64"), ["input x: field features is list<item: float>, expected an array of 4 int64"]),
        (scalar("features"), ["input x: field features is list<item: float>, expected float32"]),
        (scalar("amount", "int32"), ["input x: field amount is double, expected int32"]),
        (scalar("age", "bool"), ["input x: field age is int32, expected bool"]),
        (scalar("when"), ["input x: field when is timestamp[us, tz=UTC], expected float32"]),
        (scalar("user"), ["input x: field user is struct<score: float, email: string>, expected float32"]),
        (
            table("amount", "name", "user.email"),
            [
                "input x: field name is string, expected float32",
                "input x: field user.email is string, expected float32",
            ],
        ),
    ],
)
def test_each_field_that_does_not_fit_is_named_with_what_was_found(spec: Input, sentences: list[str]) -> None:
    assert check_inputs(manifest(spec), EVENTS) == sentences


@pytest.mark.parametrize("field", ["either", "lookup"])
def test_a_field_that_is_no_number_is_refused_whatever_it_is(field: str) -> None:
    assert len(check_inputs(manifest(scalar(field)), EVENTS)) == 1
    assert len(check_inputs(manifest(array(field)), EVENTS)) == 1


def test_every_input_is_looked_at() -> None:
    wrong = manifest(array("words"), Input(name="y", fields=("amount",)), Input(name="z", fields=("gone",)))
    assert [sentence.split()[1] for sentence in check_inputs(wrong, EVENTS)] == ["x:", "z"]


KINDS = st.sampled_from([name for name in FIELDS if name != "user"])
DTYPES = st.sampled_from(["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"])
SPECS = st.builds(array, KINDS, DTYPES) | st.builds(scalar, KINDS, DTYPES) | st.builds(table, KINDS, dtype=DTYPES)
VALUES: dict[str, Any] = {
    "features": [[0.0, 1.0, 2.0, 3.0]],
    "maybe": [[0.0, 1.0, 2.0, 3.0]],
    "words": [["a", "b", "c", "d"]],
    "amount": [1.0],
    "age": [1],
    "known": [True],
    "name": ["a"],
    "when": [0],
    "lookup": [[("a", 1.0)]],
    "nothing": [None],
}


@given(spec=SPECS)
def test_a_version_fits_exactly_when_some_event_can_be_read(spec: Input) -> None:
    name = spec.sources[0]
    if name not in VALUES:
        return
    kind = EVENTS.arrow_schema.field(name).type
    rejects = read_rows(pa.RecordBatch.from_arrays([pa.array(VALUES[name], kind)], [name]), spec).rejects
    is_refused = any(one.reason is Reason.WRONG_TYPE for one in rejects)
    assert bool(check_inputs(manifest(spec), EVENTS)) == is_refused


LABELLED = manifest(task="classification", activation="softmax", labels=("legit", "fraud"))


def differences(new: Manifest, width: int | None, *, old_width: int | None = 2) -> list[str]:
    return check_outputs(Meaning("2", new.outputs, width), Meaning("1", LABELLED.outputs, old_width))


def test_versions_that_answer_alike_may_follow_each_other() -> None:
    assert differences(LABELLED, 2) == []


def test_a_width_that_nobody_knows_makes_no_difference() -> None:
    assert differences(LABELLED, None) == differences(LABELLED, 2, old_width=None) == []
    assert differences(manifest(task="regression"), None) != []


def test_one_sigmoid_output_scores_two_classes_as_two_outputs_do() -> None:
    one = manifest(task="classification", activation="sigmoid", labels=("legit", "fraud"))
    assert differences(one, 1) == []


@pytest.mark.parametrize(
    ("new", "width", "sentences"),
    [
        (
            manifest(task="classification", activation="softmax", labels=("fraud", "legit")),
            2,
            ["its labels are [fraud, legit], expected [legit, fraud]"],
        ),
        (
            manifest(task="classification", activation="softmax"),
            3,
            ["its labels are none, expected [legit, fraud]", "its number of scores is 3, expected 2"],
        ),
        (
            manifest(task="regression"),
            2,
            ["its task is regression of several values, expected classification", "its labels are none"],
        ),
        (
            manifest(task="classification", activation="sigmoid", labels=("legit", "fraud")),
            2,
            ["its task is classification by several labels at once, expected classification"],
        ),
    ],
)
def test_each_difference_in_what_answers_mean_is_named(new: Manifest, width: int, sentences: list[str]) -> None:
    found = differences(new, width)
    assert len(found) == len(sentences)
    assert all(one.startswith(sentence) for one, sentence in zip(found, sentences, strict=True))
