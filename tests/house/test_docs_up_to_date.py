import ast
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from pydantic.fields import FieldInfo

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.model.formats import FORMATS
from stream_infer.model.manifest import Architecture, FileEntry, Input, Manifest, Outputs, Part
from stream_infer.pipeline.reject import DeadLetters
from stream_infer.records import Partition, Records, Run
from stream_infer.settings.options import all_options
from stream_infer.settings.unready import UNREADY
from stream_infer.testing.producer import FakeProducer
from tests.house.source import PACKAGE, ROOT, modules
from tests.house.tables import DOCS, table

MODELS, SETTINGS, WIRE = DOCS / "models.md", DOCS / "settings.md", DOCS / "wire.md"
PARTS: Mapping[str, type[Part]] = {
    "## `model.yaml`": Manifest,
    "### `inputs`": Input,
    "### `outputs`": Outputs,
    "### `architecture`": Architecture,
    "### `files`": FileEntry,
}


@pytest.mark.parametrize("script", ["docs/generate.py", "helm/generate.py"])
def test_what_is_generated_is_what_the_settings_say(script: str) -> None:
    command = [sys.executable, script, "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


def test_settings_that_are_called_unread_are_read_nowhere_and_all_others_somewhere() -> None:
    inside = [module for module in modules() if module.part != "settings"]
    read = {node.attr for module in inside for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    refused = {row.name for row in UNREADY}
    unread = {option.name for option in all_options() if not read.issuperset(option.path)} - refused
    assert set(table(SETTINGS, "setting", "starts to matter with").column("setting")) == unread


@pytest.mark.parametrize("heading", PARTS)
def test_every_key_of_a_manifest_is_documented_with_what_it_takes_and_its_default(heading: str) -> None:
    found = table(MODELS, "key", "takes", "default", under=heading)
    fields = PARTS[heading].model_fields
    assert found.column("key") == list(fields)
    assert found.column("default") == list(map(default, fields.values()))
    for takes, field in zip(found.column("takes"), fields.values(), strict=True):
        assert choices(field.annotation) <= set(re.findall(r"[\w]+", takes))


def default(field: FieldInfo) -> str:
    """Return a default as the document says it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return value if isinstance(value, str) else json.dumps(value)


def choices(annotation: Any) -> set[str]:
    """Return the texts that a field takes, none when it takes any."""
    return set(get_args(annotation)) if get_origin(annotation) is Literal else set()


def test_every_model_format_is_documented() -> None:
    found = table(MODELS, "format", "artifact", "runs the artifact's code")
    assert [(name, re.findall(r"\.\w+", suffixes), code) for name, suffixes, code, _ in found.rows] == [
        (name, list(one.suffixes), "yes" if one.runs_code else "no") for name, one in FORMATS.items()
    ]


def test_the_fields_of_a_prediction_are_those_of_its_schema() -> None:
    schema = json.loads((ROOT / "schemas" / "prediction.avsc").read_text(encoding="utf-8"))
    found = table(WIRE, "field", "type", "meaning")
    assert list(zip(found.column("field"), found.column("type"), strict=True)) == [
        (field["name"], words(field["type"])) for field in schema["fields"]
    ]


def words(kind: Any) -> str:
    """Return an Avro type as the document says it."""
    match kind:
        case ["null", inner]:
            return f"{words(inner)} or null"
        case {"type": "array", "items": items}:
            return f"array of {items}"
        case {"logicalType": logical}:
            return str(logical)
        case _:
            return str(kind)


def test_every_reason_for_a_dead_letter_is_documented() -> None:
    assert table(WIRE, "reason", "stage").column("reason") == [str(reason) for reason in Reason]


def test_each_reason_is_documented_with_the_stages_that_give_it() -> None:
    found = table(WIRE, "reason", "stage")
    documented = {(stage, row[0]) for row in found.rows for stage in re.findall(r"\w+", row[1])}
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    given = {(Stage[stage], Reason[reason]) for stage, reason in re.findall(r"Stage\.(\w+), Reason\.(\w+)", source)}
    # What decoding refuses is a `Refusal` first, which has that one stage.
    assert {(stage, reason) for stage, reason in documented if stage != Stage.DECODE} == given


def test_the_headers_of_a_dead_letter_are_documented() -> None:
    producer = FakeProducer({"dead": 1})
    records = Records((Run(Partition("in", 0), 0, 0, 1),), np.array([7]), np.array([1]), [b"k"], [b"v"], None, 0.0)
    reject = Reject(0, Stage.DECODE, Reason.UNDECODABLE, "it is cut short")
    DeadLetters("dead", producer=producer).send(records, [reject], model_version="1")
    (sent,) = producer.sent
    assert table(WIRE, "header", "content").column("header") == [name for name, _ in sent.headers]
