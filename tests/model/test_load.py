"""What keeps a version from loading, each said in one sentence."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import nn

from stream_infer.errors import Stop
from stream_infer.model import InferenceFailed, load_version
from stream_infer.model.device import CpuDevice, open_device
from stream_infer.testing.models import MadeVersion, seeded_mlp, write_mlp, write_module
from tests.model.made import WIDTH, answer, edit, lists, load, plain, table

RAW = {"inputs": [{"name": "x", "field": "features", "shape": [2]}], "outputs": {"task": "raw"}}


class Squeezed(nn.Module):
    """Forgets that a batch may have one row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=1).squeeze()


class Doubled(nn.Module):
    """Would take rows of any shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def scripted(repository: Path, module: nn.Module, **changes: Any) -> MadeVersion:
    return write_module(repository, module, manifest={**RAW, **changes}, format="torchscript")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "onnx"}, "the model's format is onnx, expected one of export, torchscript, safetensors"),
        ({"format": "export"}, "model.safetensors cannot be loaded as a torch.export program: .*"),
        ({"format": "torchscript"}, "model.safetensors cannot be loaded as TorchScript: .*"),
        ({"architecture": None}, "model.yaml has format safetensors and no architecture, expected its name and args"),
        ({"architecture": {"name": "cnn"}}, "the architecture cnn is not registered under .*, expected one of mlp"),
        ({"architecture": {"name": "mlp", "args": {"size": 3}}}, "the architecture mlp refused its args .*"),
        ({"architecture": {"name": "mlp", "args": {"sizes": [3]}}}, "the architecture mlp refused its args .*"),
        ({"architecture": {"name": "mlp", "args": {"sizes": [6, 9, 3]}}}, "the weights in .* do not fit mlp: .*"),
        (
            {"inputs": [{"name": "x", "field": "f", "shape": [5]}]},
            r".* failed on a batch of 1: .*; .* float32 \[1, 5\]",
        ),
        (
            {"outputs": {"task": "classification", "labels": ["a"]}},
            "model.yaml names 1 labels and the model scores 3 .*",
        ),
        ({"handler": "handler:Handler"}, "model.yaml in .* names the handler handler:Handler, expected none: .*"),
        ({"compile": "cuda_graphs"}, "model.yaml has compile: cuda_graphs on cpu, expected a CUDA device and .*"),
    ],
)
def test_a_version_that_cannot_work_is_refused_in_one_sentence(
    weights: MadeVersion, changes: dict[str, Any], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    edit(weights, changes)
    with pytest.raises(Stop, match=rf"^{sentence}$"):
        load(weights)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"model.yaml cannot be read .*, expected a model version's manifest$"):
        load_version(tmp_path, device=CpuDevice(), batch_size=1)


@pytest.mark.parametrize("format_name", ["export", "torchscript"])
def test_formats_that_run_code_are_refused_where_code_is_not_allowed(
    tmp_path: Path, weights: MadeVersion, format_name: str
) -> None:
    made = write_mlp(tmp_path, name="code", sizes=(WIDTH, 3), format=format_name)
    with pytest.raises(Stop, match=rf"format {format_name} runs code when loaded, expected safetensors: .* is false$"):
        load_version(made.where, device=CpuDevice(), batch_size=4, allow_code_formats=False)
    assert load_version(weights.where, device=CpuDevice(), batch_size=4, allow_code_formats=False).width == 3


def test_a_header_that_claims_too_much_is_refused_before_it_is_read(weights: MadeVersion) -> None:
    content = (1 << 62).to_bytes(8, "little") + b"{}"
    (weights.path / "model.safetensors").write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    edit(weights, {"files": {"model.safetensors": entry}})
    with pytest.raises(Stop, match=rf"its header has {1 << 62} bytes, expected at most 2$"):
        load(weights)


def test_an_export_with_a_fixed_batch_needs_that_one_size_allowed(tmp_path: Path) -> None:
    module = seeded_mlp((2, 3))
    fixed = write_module(tmp_path, module, manifest=RAW, batch=4)
    with pytest.raises(
        Stop, match=r"^model.pt2 was exported with a fixed batch of 4, .* or allowed_batch_sizes: \[4\] .*"
    ):
        load(fixed)
    edit(fixed, {"allowed_batch_sizes": [4, 8]})
    with pytest.raises(Stop, match=r"was exported with a fixed batch of 4"):
        load(fixed)
    edit(fixed, {"allowed_batch_sizes": [4]})
    assert answer(load(fixed), lists([[1.0, 2.0]])).scores.shape == (1, 3)


def test_an_export_refuses_a_shape_that_is_not_its_own_though_its_operations_would_take_it(tmp_path: Path) -> None:
    made = write_module(tmp_path, Doubled(), manifest=RAW)
    assert load(made).width == 2
    edit(made, {"inputs": [{"name": "x", "field": "features", "shape": [3]}]})
    with pytest.raises(Stop, match=r"failed on a batch of 1: .*\[1, 3\]"):
        load(made)


def test_an_export_says_itself_how_many_rows_it_takes(tmp_path: Path) -> None:
    limited = write_module(tmp_path, seeded_mlp((2, 3)), manifest=RAW, batch=torch.export.Dim("batch", min=3, max=9))
    version = load(limited)
    assert version.max_batch_size == 9
    assert version.prepare(lists([[1.0, 2.0]])).padded_rows == 3
    edit(limited, {"allowed_batch_sizes": [3, 10]})
    with pytest.raises(Stop, match=r"^model.yaml allows batches of 10 and model.pt2 takes at most 9 rows$"):
        load(limited)


def test_a_model_that_drops_the_batch_dimension_of_one_row_is_refused(tmp_path: Path) -> None:
    sentence = r"failed on a batch of 1: it returned shape \[\] for 1 rows, expected \[1\] or \[1, k\]"
    with pytest.raises(Stop, match=sentence):
        load(scripted(tmp_path, Squeezed()))


def test_a_model_that_fails_for_a_batch_says_which_version_and_why(tmp_path: Path) -> None:
    described = {"inputs": [{"name": "x", "field": "code", "dtype": "int64", "shape": []}], "outputs": {"task": "raw"}}
    version = load(write_module(tmp_path, nn.Embedding(10, 1), manifest=described))
    assert answer(version, pa.RecordBatch.from_pydict({"code": [3, 4]})).scores.shape == (2, 1)
    with pytest.raises(InferenceFailed, match=r"^model default version 1 failed on a batch of 1: index out of range"):
        answer(version, pa.RecordBatch.from_pydict({"code": [11]}))


def golden(made: MadeVersion, rows: int, *, off: float = 0.0) -> bytes:
    features = table(rows)
    lines = [
        json.dumps({"inputs": {"features": row.tolist()}, "scores": [score + off for score in scores.tolist()]})
        for row, scores in zip(features, plain(made, features), strict=True)
    ]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(("off", "fits"), [(0.0, True), (0.01, False)])
def test_golden_samples_must_be_answered_as_they_say(tmp_path: Path, made: MadeVersion, off: float, fits: bool) -> None:  # noqa: FBT001
    described = {
        "inputs": [{"name": "x", "field": "features", "shape": [WIDTH]}],
        "outputs": {"task": "classification", "activation": "softmax"},
    }
    files = {"golden.jsonl": golden(made, 40, off=off)}
    version = write_module(tmp_path, made.module, manifest=described, files=files, golden="golden.jsonl")
    said: list[str] = []
    if fits:
        load_version(version.where, device=CpuDevice(), batch_size=16, report=said.append)
        assert said[-1].startswith("golden: 40 samples, largest difference ")
    else:
        with pytest.raises(Stop, match=r"^golden.jsonl, line 1, expects .* as score \d+, the model gives .*"):
            load(version)


def test_every_check_is_reported_in_order(weights: MadeVersion) -> None:
    said: list[str] = []
    load_version(weights.path, device=CpuDevice(), batch_size=16, report=said.append)
    assert [sentence.partition(":")[0] for sentence in said] == ["files", "load", "run"]
    assert weights.digest in said[0]


@pytest.mark.parametrize(
    ("name", "sentence"), [("cuda:99", "torch finds . CUDA devices"), ("tpu", "expected auto, cpu")]
)
def test_a_device_that_is_not_there_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(Stop, match=rf"^model.device is {name}.*{sentence}"):
        open_device(name)
