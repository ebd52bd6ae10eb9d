"""Versions that no worker should serve, one for each way a version can be bad, and one that only takes its time."""

import io
import json
import math
import operator
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from stream_infer.testing.models import MadeVersion, seeded_mlp, write_mlp, write_module
from tests.end_to_end.job import CLASSES, WIDTH

HIDDEN = (16,)
SIZES = (WIDTH, *HIDDEN, CLASSES)
WEIGHTS_CONFIG = "model_weights_config.json"
GOLDEN = "golden.jsonl"

# What a program runs when it is loaded, as Python expressions.
ABORT = "__import__('os').abort()"
ABORT_IN_A_WORKER = "'worker' in open('/proc/self/cmdline').read() and __import__('os').abort()"
HANG_IN_A_WORKER = "'worker' in open('/proc/self/cmdline').read() and __import__('time').sleep(1e6)"
EAT_MEMORY = "[b'x' * (1 << 26) for _ in iter(int, 1)]"

Write = Callable[[Path, str], MadeVersion]


def write_corrupt(repository: Path, version: str) -> MadeVersion:
    """Write a version with one bit of its artifact changed since its manifest was written."""
    made = write_mlp(repository, version=version, sizes=SIZES)
    artifact = made.path / "model.pt2"
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.write_bytes(content)
    return made


def write_no_program(repository: Path, version: str) -> MadeVersion:
    """Write a version whose manifest is right about an artifact that is no program."""
    made = write_mlp(repository, version=version, sizes=SIZES)
    return with_artifact(made, b"PK\x03\x04 and nothing more")


def write_wrong_golden(repository: Path, version: str) -> MadeVersion:
    """Write a version that does not give the scores of its own golden sample."""
    made = write_mlp(repository, version=version, sizes=SIZES)
    scores = [1.0] + [0.0] * (CLASSES - 1)
    line = json.dumps({"inputs": {"features": [0.0] * WIDTH}, "scores": scores}) + "\n"
    (made.path / GOLDEN).write_text(line, encoding="utf-8")
    return listed_again(made, golden=GOLDEN)


def write_longer_scores(repository: Path, version: str) -> MadeVersion:
    """Write a version that gives more scores than the one that serves."""
    return write_mlp(repository, version=version, sizes=(WIDTH, *HIDDEN, CLASSES + 1))


def write_unknown_field(repository: Path, version: str) -> MadeVersion:
    """Write a version that reads a field which the input's schema does not have."""
    inputs = [{"name": "x", "field": "fingerprint", "dtype": "float32", "shape": [WIDTH]}]
    return write_mlp(repository, version=version, sizes=SIZES, manifest={"inputs": inputs})


def write_not_a_number(repository: Path, version: str) -> MadeVersion:
    """Write a version that loads and runs, and whose every score is NaN."""
    module = seeded_mlp(SIZES)
    for parameter in module.parameters():
        nn.init.constant_(parameter, math.nan)
    described = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [WIDTH]}],
        "outputs": {"task": "classification", "activation": "softmax"},
    }
    return write_module(repository, module, version=version, manifest=described)


def write_aborting(repository: Path, version: str) -> MadeVersion:
    """Write a version that aborts the process which loads it."""
    return write_running(repository, version, ABORT)


def write_eating_memory(repository: Path, version: str) -> MadeVersion:
    """Write a version that allocates without end while it loads."""
    return write_running(repository, version, EAT_MEMORY)


def write_slow_to_load(repository: Path, version: str, *, seconds: float, seed: int = 0) -> MadeVersion:
    """Write a good version that takes `seconds` to load, wherever it is loaded."""
    return write_running(repository, version, f"__import__('time').sleep({seconds})", seed=seed)


def write_running(repository: Path, version: str, code: str, *, seed: int = 0) -> MadeVersion:
    """Write an exported program that runs an expression when it is loaded, and is good if it gets over that."""
    made = write_mlp(repository, version=version, sizes=SIZES, seed=seed)
    with zipfile.ZipFile(made.path / "model.pt2") as good:
        members = {name: good.read(name) for name in good.namelist()}
    (listed,) = (name for name in members if name.endswith(WEIGHTS_CONFIG))
    config = json.loads(members[listed])
    bias = config["config"]["0.bias"]
    bias["use_pickle"] = True
    members[listed] = json.dumps(config).encode()
    members[f"{listed.removesuffix(WEIGHTS_CONFIG)}{bias['path_name']}"] = _saved(
        _AfterRunning(code, made.module.get_parameter("0.bias"))
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bad:
        for name, content in members.items():
            bad.writestr(name, content)
    return with_artifact(made, archive.getvalue())


def with_artifact(made: MadeVersion, content: bytes) -> MadeVersion:
    """Replace a version's artifact, and write the manifest that belongs to it."""
    (made.path / "model.pt2").write_bytes(content)
    return listed_again(made)


def listed_again(made: MadeVersion, **changes: Any) -> MadeVersion:
    """Write a version's manifest again with what its folder holds now, and with `changes` of its keys."""
    manifest = made.path / "model.yaml"
    described: dict[str, Any] = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    files: Mapping[str, bytes] = {path.name: path.read_bytes() for path in made.path.iterdir() if path != manifest}
    listed = {name: {"sha256": sha256(one).hexdigest(), "size_bytes": len(one)} for name, one in files.items()}
    manifest.write_text(yaml.safe_dump({**described, "files": listed, **changes}), encoding="utf-8")
    return MadeVersion(made.where, sha256(manifest.read_bytes()).hexdigest(), made.module)


class _AfterRunning:
    """Stands in a pickle for a value; an expression is run where it is loaded, before the value is there."""

    def __init__(self, code: str, value: torch.Tensor) -> None:
        self._code = code
        self._value = value

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return operator.getitem, ((_Run(self._code), self._value), 1)


class _Run:
    def __init__(self, code: str) -> None:
        self._code = code

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return eval, (self._code,)


def _saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
