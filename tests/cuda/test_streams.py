"""What only a GPU's queues can show; run with -m cuda."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from benchmarks.networks import NETWORKS, rows_of, write_network
from stream_infer.model import Prepared, load_version, open_device

pytestmark = pytest.mark.cuda

SIDE: Final = 8192
MULTIPLICATIONS: Final = 60
TOLERANCE: Final = {"mlp": 1e-5, "sentence": 1e-3, "convolutions": 1e-3}


def multiply(x: torch.Tensor) -> torch.Tensor:
    """Keep the device busy for far longer than a small copy takes."""
    for _ in range(MULTIPLICATIONS):
        x = torch.tanh(x @ x)
    return x[:1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_and_a_processor_predict_the_same(name: str, tmp_path: Path) -> None:
    made = write_network(name, tmp_path)
    tensors = rows_of(name, 8)
    scores = []
    for device in ("cpu", "cuda"):
        version = load_version(made.where, device=open_device(device), batch_size=8)
        scores.append(version.launch(Prepared(np.arange(8), (), (tensors,))).result().scores)
    np.testing.assert_allclose(scores[1], scores[0], atol=TOLERANCE[name], rtol=TOLERANCE[name])


def test_the_next_inputs_are_copied_while_a_call_computes() -> None:
    device = open_device("cuda")
    big, small = torch.rand(SIDE, SIDE), torch.rand(1024, 32)
    with torch.inference_mode():
        device.launch(multiply, device.stage((big,))).result()
        # The first copy from pinned memory of a size makes that memory, which waits for the device.
        device.launch(torch.neg, device.stage((small,))).result()
        long = device.launch(multiply, device.stage((big,)))
        following = device.stage((small,))
        assert following.copied is not None
        following.copied.synchronize()
        assert not long.done()
        answered = device.launch(torch.neg, following)
    assert long.result().shape == (1, SIDE)
    assert torch.equal(answered.result(), -small)
