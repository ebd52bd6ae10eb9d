"""Versions and columns made up for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from numpy.typing import NDArray

from stream_infer.model import LoadedVersion, Scored, load_version
from stream_infer.model.device import CpuDevice, Device
from stream_infer.testing.models import MadeVersion

WIDTH = 6


def lists(rows: Sequence[Sequence[float | None] | None]) -> pa.RecordBatch:
    """Return columns with the array field `features`."""
    return pa.RecordBatch.from_pydict({"features": pa.array(rows, pa.list_(pa.float32()))})


def table(rows: int, *, seed: int = 0, width: int = WIDTH) -> NDArray[np.float32]:
    """Return made-up features."""
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def answer(version: LoadedVersion, columns: pa.RecordBatch) -> Scored:
    """Return the scores of the rows that fit."""
    return version.launch(version.prepare(columns)).result()


def plain(made: MadeVersion, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the module itself says, a row at a time: no batches, no code of ours."""
    with torch.inference_mode():
        rows = [torch.softmax(made.module(torch.tensor(row[None])), dim=1)[0] for row in features]
    return torch.stack(rows).numpy()


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float32], *, atol: float = 1e-6) -> None:
    """Fail unless both are equal but for rounding."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=atol)


def load(made: MadeVersion, *, device: Device | None = None, batch_size: int = 16) -> LoadedVersion:
    """Return a version loaded from disk."""
    return load_version(made.where, device=device or CpuDevice(), batch_size=batch_size)


def edit(made: MadeVersion, changes: Mapping[str, Any]) -> None:
    """Replace keys of a version's `model.yaml`."""
    path: Path = made.path / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}, sort_keys=False))
