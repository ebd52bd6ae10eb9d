"""Small real model versions, written to a repository: for tests, the demo and benchmarks."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import nn

from stream_infer.model.architectures import mlp
from stream_infer.model.formats.torchscript import deprecation_silenced
from stream_infer.model.inputs import DTYPES
from stream_infer.model.manifest import Input, digest_of, parse_manifest
from stream_infer.model.package import Parcel, write_version
from stream_infer.model.repository import VersionDirectory

MAX_EXPORT_ROWS: Final = 65536
_EXAMPLE_ROWS: Final = 4  # more than 1, which torch.export would take for a constant


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version on disk and the plain module that it was made of."""

    where: VersionDirectory
    digest: str
    module: nn.Module

    @property
    def path(self) -> Path:
        """The version's folder."""
        return self.where.path


def seeded_mlp(sizes: Sequence[int], *, seed: int = 0) -> nn.Module:
    """Return an untrained MLP with the same weights for the same seed; the process's own seed is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return mlp(sizes=sizes).eval()


def write_mlp(
    repository: Path,
    *,
    name: str = "default",
    version: str = "1",
    sizes: Sequence[int] = (32, 64, 2),
    seed: int = 0,
    format: str = "export",  # noqa: A002 - the manifest's word
    manifest: Mapping[str, Any] | None = None,
) -> MadeVersion:
    """Write a version that reads the array field `features` and classifies with softmax.

    `format` is export, torchscript or safetensors; `manifest` replaces keys of its `model.yaml`.
    """
    described = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [sizes[0]]}],
        "outputs": {"task": "classification", "activation": "softmax"},
        **({"architecture": {"name": "mlp", "args": {"sizes": list(sizes)}}} if format == "safetensors" else {}),
        **(manifest or {}),
    }
    module = seeded_mlp(sizes, seed=seed)
    return write_module(repository, module, name=name, version=version, format=format, manifest=described)


def write_module(  # noqa: PLR0913 - each has a default
    repository: Path,
    module: nn.Module,
    *,
    manifest: Mapping[str, Any],
    name: str = "default",
    version: str = "1",
    format: str = "export",  # noqa: A002 - the manifest's word
    files: Mapping[str, bytes] | None = None,
    golden: str | None = None,
    batch: Any = None,
) -> MadeVersion:
    """Write a version of any module; `manifest` says its inputs and outputs, `files` are written beside the artifact.

    `golden` names one of them. `batch` is the batch dimension of an export: None for 1 to 65536 rows, an int for a
    fixed one, or a `torch.export.Dim`.
    """
    artifact = {"export": "model.pt2", "torchscript": "model.pt", "safetensors": "model.safetensors"}[format]
    inputs = [Input.model_validate(one) for one in manifest["inputs"]]
    content = _SAVERS[format](module, inputs, batch)
    parcel = Parcel(artifact, {artifact: content, **(files or {})}, {"format": format, **manifest}, golden)
    where = write_version(parcel, repository, name=name, version=version)
    written = (where.path / "model.yaml").read_bytes()
    parse_manifest(written, source="model.yaml")
    return MadeVersion(where, digest_of(written), module)


def _save_export(module: nn.Module, inputs: Sequence[Input], batch: Any) -> bytes:
    rows = batch if isinstance(batch, int) else _EXAMPLE_ROWS
    dimension = torch.export.Dim("batch", min=1, max=MAX_EXPORT_ROWS) if batch is None else batch
    shapes = None if isinstance(batch, int) else tuple({0: dimension} for _ in inputs)
    program = torch.export.export(module.eval(), _examples(inputs, rows), dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _save_torchscript(module: nn.Module, inputs: Sequence[Input], _batch: Any) -> bytes:
    buffer = io.BytesIO()
    with deprecation_silenced():
        traced = torch.jit.trace(module.eval(), _examples(inputs, _EXAMPLE_ROWS))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _save_weights(module: nn.Module, _inputs: Sequence[Input], _batch: Any) -> bytes:
    return safetensors.torch.save(module.state_dict())


def _examples(inputs: Sequence[Input], rows: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros((rows, *one.row_shape), dtype=DTYPES[one.dtype]) for one in inputs)


_SAVERS: Final[Mapping[str, Callable[[nn.Module, Sequence[Input], Any], bytes]]] = {
    "export": _save_export,
    "torchscript": _save_torchscript,
    "safetensors": _save_weights,
}
