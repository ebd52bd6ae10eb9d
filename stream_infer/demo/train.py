"""Small networks that read digits: trained in seconds and written as model versions, one of them broken."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from stream_infer.demo.cache import BETTER_VERSION, BROKEN_VERSION, MODEL_NAME, MODEL_VERSION
from stream_infer.demo.digits import CLASSES, PIXELS, Digits, Rows
from stream_infer.model.architectures import mlp
from stream_infer.testing.models import write_module

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


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is made: units between input and output, and how often all rows are shown to it."""

    hidden: int
    epochs: int


# About 92 and 98 of 100 digits right, so that a rollout shows.
WEAKER: Final = Recipe(hidden=8, epochs=16)
BETTER: Final = Recipe(hidden=64, epochs=30)


def train_versions(digits: Digits, repository: Path) -> float:
    """Write the demo's versions below `repository` and return the first one's accuracy on the held-out rows, 0 to 1.

    The last is the second one damaged, so that it does not meet its golden samples. The same rows give the same
    networks. Raises Stop when a version cannot be written.
    """
    weaker, better = _trained(digits.train, WEAKER), _trained(digits.train, BETTER)
    golden = _golden(better, digits.held_out)
    _write(repository, weaker, version=MODEL_VERSION, golden=_golden(weaker, digits.held_out))
    _write(repository, better, version=BETTER_VERSION, golden=golden)
    _damage(better)
    _write(repository, better, version=BROKEN_VERSION, golden=golden)
    return _accuracy(weaker, digits.held_out)


def _write(repository: Path, network: nn.Module, *, version: str, golden: bytes) -> None:
    files = {_GOLDEN: golden}
    write_module(repository, network, manifest=MANIFEST, name=MODEL_NAME, version=version, files=files, golden=_GOLDEN)


def _trained(rows: Rows, recipe: Recipe) -> nn.Module:
    # The process's own random numbers are left as they were.
    with torch.random.fork_rng(), _one_thread():
        torch.manual_seed(_SEED)
        network = mlp(sizes=(PIXELS, recipe.hidden, CLASSES))
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        for _ in range(recipe.epochs):
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


def _damage(network: nn.Module) -> None:
    """Forget what the last layer learnt."""
    *_, weights, biases = network.parameters()
    with torch.no_grad():
        weights.zero_()
        biases.zero_()


def _golden(network: nn.Module, rows: Rows) -> bytes:
    """Return the samples with which a version is checked before it serves."""
    return "".join(_golden_lines(network, rows)).encode()


def _golden_lines(network: nn.Module, rows: Rows) -> Iterator[str]:
    first = rows.take(np.arange(GOLDEN_ROWS))
    for pixels, scores in zip(first.pixels.tolist(), _scores(network, first).tolist(), strict=True):
        yield json.dumps({"inputs": {"features": pixels}, "scores": scores}) + "\n"


def _scores(network: nn.Module, rows: Rows) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.from_numpy(rows.pixels)).softmax(dim=1)  # type: ignore[no-any-return] # torch's own
