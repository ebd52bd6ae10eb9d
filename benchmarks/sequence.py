"""A heavier model: a stack of transformer encoder layers on 128 tokens, 1 to 5 ms for a batch on one processor core."""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from stream_infer.testing.models import MadeVersion, write_module

TOKENS = 128
WIDTH = 8
LAYERS = 2
CLASSES = 2
CALLS = 20
MANIFEST = {
    "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [TOKENS]}],
    "outputs": {"task": "classification", "activation": "softmax"},
}


class Layer(nn.Module):
    """One encoder layer: self-attention of `heads` heads and a small network, each around a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.between = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 of the shape of `x`, (batch, tokens, width)."""
        query, key, value = (
            one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in self.mix(self.before(x)).chunk(3, dim=-1)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        changed: torch.Tensor = x + self.think(self.between(x))
        return changed


class Sequence128(nn.Module):
    """Reads each feature as a token, and scores the mean of what the layers make of them."""

    def __init__(self, *, width: int = WIDTH, layers: int = LAYERS, heads: int = 1) -> None:
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.place = nn.Parameter(torch.randn(TOKENS, width) * 0.02)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.score = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 of shape (batch, 2), for float32 features of shape (batch, 128)."""
        read = self.layers(self.embed(x.unsqueeze(-1)) + self.place)
        scores: torch.Tensor = self.score(read.mean(dim=1))
        return scores


def write_sequence(repository: Path) -> MadeVersion:
    """Write version 1 of the model `default`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return write_module(repository, Sequence128(), manifest=MANIFEST)


def call_ms(module: nn.Module, sizes: Sequence[int], *, features: int) -> Mapping[int, float]:
    """Return the median milliseconds that a call on one thread takes, for each batch size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return {size: _median_ms(module, torch.rand(size, features)) for size in sizes}
    finally:
        torch.set_num_threads(before)


def _median_ms(module: nn.Module, x: torch.Tensor) -> float:
    taken = []
    module(x)
    for _ in range(CALLS):
        begun_s = time.perf_counter()
        module(x)
        taken.append((time.perf_counter() - begun_s) * 1000)
    return statistics.median(taken)
