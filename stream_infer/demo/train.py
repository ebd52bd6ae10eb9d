"""A small network that reads digits: trained in seconds and written as a model version."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from stream_infer.demo.digits import CLASSES, PIXELS, Digits, Rows
from stream_infer.model.architectures import mlp
from stream_infer.testing.models import write_module

HIDDEN: Final = 64
EPOCHS: Final = 30
BATCH: Final = 128
GOLDEN_ROWS: Final = 8
_LEARNING_RATE: Final = 0.01
_WEIGHT_DECAY: Final = 1e-4
_SEED: Final = 0
_GOLDEN: Final = "golden.jsonl"

MANIFEST: Final[dict[str, Any]] = {
    "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [PIXELS]}],
    "outputs": {
        "task": "classification",
        "activation": "softmax",
        "labels": [str(digit) for digit in range(CLASSES)],
    },
}


def train_version(digits: Digits, repository: Path, *, name: str, version: str) -> float:
    """Write a trained network as `repository/name/version/` and return its accuracy on the held-out rows, 0 to 1.

    The same rows give the same network. Raises Stop when the version cannot be written.
    """
    network = _trained(digits.train)
    golden = "".join(_golden_lines(network, digits.held_out))
    write_module(
        repository,
        network,
        manifest=MANIFEST,
        name=name,
        version=version,
        files={_GOLDEN: golden.encode()},
        golden=_GOLDEN,
    )
    return _accuracy(network, digits.held_out)


def _trained(rows: Rows) -> nn.Module:
    # The process's own random numbers are left as they were.
    with torch.random.fork_rng(), _one_thread():
        torch.manual_seed(_SEED)
        network = mlp(sizes=(PIXELS, HIDDEN, CLASSES))
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        for _ in range(EPOCHS):
            order = torch.randperm(len(rows)).numpy()
            for start in range(0, len(rows), BATCH):
                _step(network, optimizer, rows.take(order[start : start + BATCH]))
    return network.eval()


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, rows: Rows) -> None:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(torch.from_numpy(rows.pixels)), torch.from_numpy(rows.digits))
    torch.autograd.backward(loss)
    optimizer.step()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch from sharing out sums that are too small for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _accuracy(network: nn.Module, rows: Rows) -> float:
    return float(np.mean(_scores(network, rows).argmax(dim=1).numpy() == rows.digits))


def _golden_lines(network: nn.Module, rows: Rows) -> Iterator[str]:
    """Yield samples with which `stream-infer model verify` checks the version."""
    first = rows.take(np.arange(GOLDEN_ROWS))
    for pixels, scores in zip(first.pixels.tolist(), _scores(network, first).tolist(), strict=True):
        yield json.dumps({"inputs": {"features": pixels}, "scores": scores}) + "\n"


def _scores(network: nn.Module, rows: Rows) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.from_numpy(rows.pixels)).softmax(dim=1)  # type: ignore[no-any-return] # torch's own
