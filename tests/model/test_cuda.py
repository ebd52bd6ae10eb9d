"""What only a GPU can show; run with -m cuda."""

from pathlib import Path
from typing import Any

import pytest

from stream_infer.model import LoadedVersion, open_device
from stream_infer.testing.models import write_mlp
from tests.model.made import WIDTH, answer, assert_close, lists, load, table

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "tf32"},
        {"precision": "bfloat16"},
        {"allowed_batch_sizes": [4, 16]},
        {"allowed_batch_sizes": [4, 16], "compile": "cuda_graphs"},
    ],
)
@pytest.mark.parametrize("format_name", ["export", "torchscript", "safetensors"])
def test_a_gpu_answers_as_the_cpu_does(
    tmp_path: Path, loaded: LoadedVersion, changes: dict[str, Any], format_name: str
) -> None:
    made = write_mlp(tmp_path, sizes=(WIDTH, 8, 3), format=format_name, manifest=changes)
    version = load(made, device=open_device("cuda"))
    batches = [lists(table(rows, seed=rows).tolist()) for rows in (1, 4, 16, 3)]
    pending = [version.launch(version.prepare(columns)) for columns in batches]
    for one, columns in zip(pending, batches, strict=True):
        assert_close(one.result().scores, answer(loaded, columns).scores, atol=0.02)
