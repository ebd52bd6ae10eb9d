import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_infer.errors import Stop
from stream_infer.model import load_version
from stream_infer.model.device import CpuDevice
from stream_infer.model.package import collect_parcel, describe, write_version
from stream_infer.testing.models import MadeVersion
from tests.model.made import WIDTH, answer, assert_close, lists, load, table

OUTPUTS = {"task": "classification", "activation": "softmax"}
DESCRIBED = {
    "architecture": {"name": "mlp", "args": {"sizes": [WIDTH, 8, 3]}},
    "inputs": [{"name": "x", "field": "features", "shape": [WIDTH]}],
    "outputs": OUTPUTS,
}


@pytest.fixture
def artifact(weights: MadeVersion) -> Path:
    return weights.path / "model.safetensors"


def package(artifact: Path, repository: Path, *, described: Mapping[str, Any] = DESCRIBED, **files: Path) -> Path:
    parcel = collect_parcel(artifact, manifest=files.get("manifest"), described=described, golden=files.get("golden"))
    return write_version(parcel, repository, name="fraud", version="7").path


def test_a_packaged_version_loads_and_answers_as_the_one_it_was_made_of(
    weights: MadeVersion, artifact: Path, tmp_path: Path
) -> None:
    path = package(artifact, tmp_path / "out")
    columns = lists(table(5).tolist())
    again = load_version(path, device=CpuDevice(), batch_size=16)
    assert path == tmp_path / "out" / "fraud" / "7"
    assert sorted(file.name for file in path.iterdir()) == ["model.safetensors", "model.yaml"]
    assert yaml.safe_load((path / "model.yaml").read_text())["format"] == "safetensors"
    assert_close(answer(again, columns).scores, answer(load(weights), columns).scores)


def test_a_manifest_is_kept_and_its_files_are_filled_in(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "notes.txt").write_text("read me")
    listed = {**DESCRIBED, "precision": "bfloat16", "artifact": "old", "files": {"notes.txt": {}, "old": {}}}
    (folder / "model.yaml").write_text(yaml.safe_dump(listed))
    path = package(artifact, tmp_path / "out", described={}, manifest=folder / "model.yaml")
    written = yaml.safe_load((path / "model.yaml").read_text())
    assert (written["precision"], written["artifact"]) == ("bfloat16", "model.safetensors")
    assert set(written["files"]) == {"model.safetensors", "notes.txt"}
    assert (path / "notes.txt").read_text() == "read me"


def test_golden_samples_travel_with_the_version(artifact: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    golden.write_text(json.dumps({"inputs": {"features": [0.0] * WIDTH}, "scores": [0.1, 0.2, 0.7]}))
    path = package(artifact, tmp_path / "out", golden=golden)
    assert yaml.safe_load((path / "model.yaml").read_text())["golden"] == "golden.jsonl"
    golden.write_text("{}")
    with pytest.raises(Stop, match=r"golden.jsonl, line 1, is no golden sample"):
        package(artifact, tmp_path / "other", golden=golden)


def test_a_version_is_never_overwritten(artifact: Path, tmp_path: Path) -> None:
    path = package(artifact, tmp_path / "out")
    before = (path / "model.yaml").read_bytes()
    with pytest.raises(Stop, match=r"is there already, expected a new version: a version never changes$"):
        package(artifact, tmp_path / "out", described={**DESCRIBED, "precision": "bfloat16"})
    assert (path / "model.yaml").read_bytes() == before


@pytest.mark.parametrize("described", [{**DESCRIBED, "precision": "none"}, {**DESCRIBED, "outputs": {"task": "x"}}])
def test_nothing_half_written_stays(artifact: Path, tmp_path: Path, described: Mapping[str, Any]) -> None:
    with pytest.raises(Stop, match=r"^the manifest: "):
        package(artifact, tmp_path / "out", described=described)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_write_that_fails_leaves_no_trace(artifact: Path, tmp_path: Path) -> None:
    parcel = collect_parcel(artifact, manifest=None, described=DESCRIBED, golden=None)
    clashing = {**parcel.files, "model.safetensors/x": b""}  # a file cannot be a folder too
    with pytest.raises(Stop, match=r"cannot be written"):
        write_version(type(parcel)(parcel.artifact, clashing, parcel.manifest), tmp_path / "o", name="m", version="1")
    assert not list((tmp_path / "o" / "m").iterdir())


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "/abs"])
def test_names_that_are_no_folder_names_are_refused(artifact: Path, tmp_path: Path, name: str) -> None:
    parcel = collect_parcel(artifact, manifest=None, described=DESCRIBED, golden=None)
    with pytest.raises(Stop, match=r"expected a folder name"):
        write_version(parcel, tmp_path, name=name, version="1")
    with pytest.raises(Stop, match=r"expected a folder name"):
        write_version(parcel, tmp_path, name="m", version=name)


def test_what_cannot_be_inferred_is_asked_for(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(
        Stop, match=r"^nothing says what model.safetensors takes and returns, expected --manifest .*--field"
    ):
        package(artifact, tmp_path, described={})
    other = tmp_path / "model.bin"
    other.write_bytes(b"x")
    with pytest.raises(Stop, match=r"^the artifact ends in .bin, expected .pt2, .pt, .ts, .safetensors, or a manifest"):
        package(other, tmp_path)
    with pytest.raises(Stop, match=r"^--field is given alone, expected --field and --shape together$"):
        describe(field="features", shape=None)
