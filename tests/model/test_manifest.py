import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from stream_infer.errors import Stop
from stream_infer.model.manifest import MAX_MANIFEST_BYTES, Manifest, digest_of, parse_manifest

GOOD: Mapping[str, Any] = {
    "format": "export",
    "artifact": "model.pt2",
    "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [32]}],
    "outputs": {"task": "classification", "activation": "softmax", "labels": ["legit", "fraud"]},
    "files": {"model.pt2": {"sha256": "a" * 64, "size_bytes": 3}},
}


def parse(value: Any) -> Manifest:
    return parse_manifest(yaml.safe_dump(value).encode(), source="model.yaml")


def with_input(**changes: Any) -> Mapping[str, Any]:
    return {**GOOD, "inputs": [{**GOOD["inputs"][0], **changes}]}


def test_the_documented_manifest_is_read_with_its_defaults() -> None:
    manifest = parse(GOOD)
    assert manifest.precision == "float32"
    assert manifest.compile == "none"
    assert manifest.golden_tolerance == 1e-4
    assert manifest.inputs[0].row_shape == (32,)
    assert manifest.fields == ("features",)


def test_several_fields_are_one_row_side_by_side() -> None:
    manifest = parse({**GOOD, "inputs": [{"name": "x", "fields": ["amount", "customer.age"], "nulls": 0.0}]})
    assert manifest.inputs[0].row_shape == (2,)
    assert manifest.fields == ("amount", "customer.age")


def test_the_digest_is_the_sha256_of_the_bytes() -> None:
    assert digest_of(b"format: export\n") == hashlib.sha256(b"format: export\n").hexdigest()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {**GOOD, "artefact": "m"},
            "the manifest has the unknown key artefact, expected a known one: the nearest is artifact",
        ),
        (with_input(shapes=[3]), r"inputs\[0\] has the unknown key shapes, expected a known one: the nearest is shape"),
        ({**GOOD, "outputs": {"tsk": "raw"}}, "outputs has the unknown key tsk, .* nearest is task"),
        (with_input(dtype="float31"), r"inputs\[0\].dtype is 'float31': input should be 'float32', .*"),
        (with_input(fields=["a"]), r"inputs\[0\] \(x\) has both, expected `field` or `fields`"),
        (with_input(field=None), r"inputs\[0\] \(x\) has neither, expected `field` or `fields`"),
        (with_input(shape=None), r"inputs\[0\] \(x\) has no shape, expected .*"),
        (with_input(dtype="int64", nulls=0.5), r"inputs\[0\] \(x\) has nulls 0.5, expected a number that fits int64"),
        (
            with_input(dtype="int64", nulls=2**60),
            r"inputs\[0\] \(x\) has nulls 1.15\S+, expected a number that fits int64",
        ),
        (with_input(dtype="uint8", nulls=-1), r"inputs\[0\] \(x\) has nulls -1.0, expected a number that fits uint8"),
        ({**GOOD, "inputs": []}, r"inputs is \[\]: .* at least 1 item.*"),
        ({**GOOD, "artifact": "other.pt2"}, "the manifest lists no other.pt2 under files, expected its sha256 .*"),
        ({**GOOD, "golden": "golden.jsonl"}, "the manifest lists no golden.jsonl under files, .*"),
        (
            {**GOOD, "allowed_batch_sizes": [8, 4]},
            r"the manifest has allowed_batch_sizes \[8, 4\], expected ascending numbers",
        ),
        ({**GOOD, "max_batch_size": 0}, "max_batch_size is 0: input should be greater than 0"),
        ({**GOOD, "outputs": {"task": "raw", "labels": ["a"]}}, "outputs has labels with task raw, .*"),
        ({key: GOOD[key] for key in GOOD if key != "outputs"}, "outputs is missing, expected a value"),
        ({**GOOD, "files": {"model.pt2": {"sha256": "xyz", "size_bytes": 3}}}, r"files.model.pt2.sha256 is 'xyz': .*"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_sentence_that_names_the_key(value: Any, sentence: str) -> None:
    with pytest.raises(Stop, match=rf"^model.yaml: {sentence}$"):
        parse(value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [", "model.yaml is no valid YAML: .*"),
        (b"\xff\xfe\xfa", "model.yaml is no valid YAML: .*"),
        (b"- a", "model.yaml holds list, expected a mapping of names to values"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "model.yaml has 1048577 bytes, expected at most 1048576"),
        (b"format: !!python/object/apply:os.getcwd []", "model.yaml is no valid YAML: .*"),
    ],
)
def test_bytes_that_are_no_manifest_are_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(Stop, match=rf"^{sentence}$"):
        parse_manifest(content, source="model.yaml")


@pytest.mark.parametrize(("dtype", "nulls"), [("int64", 2**53), ("int32", -(2**31)), ("uint8", 255), ("bool", 1)])
def test_the_largest_stand_in_for_nulls_is_taken_at_once(dtype: str, nulls: int) -> None:
    assert parse(with_input(dtype=dtype, nulls=nulls)).inputs[0].nulls == nulls
