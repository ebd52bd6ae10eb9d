"""Contract: can a version be fed what events hold, and do its answers mean what the ones before it meant."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from stream_infer.avro import AvroSchema, path_type
from stream_infer.errors import Reason, WrongUse
from stream_infer.model.columns import read_rows
from stream_infer.model.manifest import Input, Manifest, Outputs


def check_inputs(manifest: Manifest, reader: AvroSchema) -> list[str]:
    """Return a sentence for each input field that is missing, or can never become what the manifest says.

    Empty when the version fits. What depends on a record's values, such as a null or the length of an array, is no
    part of it.
    """
    return [sentence for spec in manifest.inputs for sentence in _misfits(spec, reader.arrow_schema)]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a version's answers mean; `width` is the numbers a row that the model returns, None where nobody knows."""

    version: str
    outputs: Outputs
    width: int | None


def check_outputs(new: Meaning, old: Meaning) -> list[str]:
    """Return a sentence for each difference between what two versions' answers mean; empty when there is none.

    A width that nobody knows is taken to be the other's.
    """
    width = new.width or old.width or 1
    old_width = old.width or width
    pairs = (
        ("task is", _task(new.outputs, width), _task(old.outputs, old_width)),
        ("labels are", _labels(new.outputs), _labels(old.outputs)),
        ("number of scores is", str(_scores(new.outputs, width)), str(_scores(old.outputs, old_width))),
    )
    return [f"its {what} {found}, expected {expected}" for what, found, expected in pairs if found != expected]


def _misfits(spec: Input, schema: pa.Schema) -> Iterator[str]:
    """Yield what keeps an input's fields from being its tensor."""
    missing = [path for path in spec.sources if not _is_there(schema, path)]
    for path in missing:
        there = ", ".join(schema.names) or "none"
        yield f"input {spec.name} reads the field {path}, expected one that events have: {there}"
    if not missing:
        # The code that reads batches decides, on a row of nulls: a column of a wrong type is refused whatever it holds.
        rejects = read_rows(_nulls(schema, spec), spec).rejects
        yield from (f"input {spec.name}: {one.message}" for one in rejects if one.reason is Reason.WRONG_TYPE)


def _is_there(schema: pa.Schema, path: str) -> bool:
    try:
        path_type(schema, path)
    except WrongUse:
        return False
    return True


def _nulls(schema: pa.Schema, spec: Input) -> pa.RecordBatch:
    """Return one row of nulls in the columns that an input reads."""
    names = list(dict.fromkeys(path.partition(".")[0] for path in spec.sources))
    return pa.RecordBatch.from_arrays([pa.nulls(1, schema.field(name).type) for name in names], names=names)


def _task(outputs: Outputs, width: int) -> str:
    if outputs.task == "classification" and outputs.activation == "sigmoid" and width > 1:
        return "classification by several labels at once"
    if outputs.task == "regression" and width > 1:
        return "regression of several values"
    return str(outputs.task)


def _labels(outputs: Outputs) -> str:
    return f"[{', '.join(outputs.labels)}]" if outputs.labels else "none"


def _scores(outputs: Outputs, width: int) -> int:
    """Return how many scores a prediction has: one sigmoid output of a classification makes two."""
    return 2 if outputs.task == "classification" and width == 1 else width
