"""What only the memory of a GPU can show; run with -m cuda."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from stream_infer.model import LoadedVersion, OutOfDeviceMemory, load_version, open_device
from stream_infer.pipeline.isolate import isolate
from stream_infer.testing.models import write_mlp, write_module

pytestmark = pytest.mark.cuda

ROW_BYTES: Final = 64 << 20
HELD_ROWS: Final = 20
ROWS: Final = 64
SWAPS: Final = 20
WIDE: Final = (32, 4096, 4096, 2)


class Hungry(nn.Module):
    """Needs 64 MiB for each row while it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        needed = x[:, :1].repeat(1, ROW_BYTES // 4) * self.weight
        return needed[:, :2] + x


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Let this process use only so much device memory that some rows of `Hungry` fit."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(2 * HELD_ROWS * ROW_BYTES / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def columns(rows: int) -> pa.RecordBatch:
    values = [[float(number), 1.0] for number in range(rows)]
    return pa.RecordBatch.from_pydict({"features": pa.array(values, pa.list_(pa.float32()))})


def hungry(folder: Path) -> LoadedVersion:
    manifest = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [2]}],
        "outputs": {"task": "raw", "activation": "none"},
    }
    made = write_module(folder, Hungry(), manifest=manifest)
    return load_version(made.where, device=open_device("cuda"), batch_size=1)


def test_a_batch_that_device_memory_does_not_hold_is_answered_in_halves(tmp_path: Path, little_memory: None) -> None:
    version, batch = hungry(tmp_path), columns(ROWS)
    with pytest.raises(OutOfDeviceMemory):
        version.launch(version.prepare(batch)).result()
    answered = isolate(batch, version)
    assert answered.rejects == ()
    assert answered.rows.tolist() == list(range(ROWS))
    assert answered.scored is not None
    np.testing.assert_allclose(answered.scored.scores[:, 0], 2.0 * np.arange(ROWS))
    assert version.max_batch_size is not None
    assert version.max_batch_size < ROWS


def test_device_memory_returns_after_twenty_swaps(tmp_path: Path) -> None:
    device = open_device("cuda")
    made = [write_mlp(tmp_path, version=str(seed), sizes=WIDE, seed=seed, format="safetensors") for seed in (1, 2)]
    serving = load_version(made[0].where, device=device, batch_size=ROWS)
    device.settle()
    before = torch.cuda.memory_allocated()
    for number in range(1, SWAPS + 1):
        following = load_version(made[number % 2].where, device=device, batch_size=ROWS)
        following.warm(ROWS)
        serving.release()
        serving = following
    device.settle()
    assert before > 0
    assert abs(torch.cuda.memory_allocated() - before) <= 0.05 * before
