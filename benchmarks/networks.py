"""Networks of the sizes that people serve on a GPU, with made-up weights: what they answer means nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.sequence import Layer
from stream_infer.model.architectures import mlp
from stream_infer.testing.models import MadeVersion, write_module

VOCABULARY = 30_000
TOKENS = 128
WIDTH = 384
HEADS = 12
LAYERS = 6
PIXELS = 64
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
EXPANSION = 4
CLASSES = 10


class Sentence(nn.Module):
    """A sentence transformer: 6 layers of width 384 on 128 tokens, their mean as a vector of 384."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.place = nn.Parameter(torch.randn(TOKENS, WIDTH) * 0.02)
        self.layers = nn.Sequential(*(Layer(WIDTH, HEADS) for _ in range(LAYERS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 of shape (batch, 384) for token numbers, int64 of shape (batch, 128)."""
        read: torch.Tensor = self.layers(self.embed(x) + self.place)
        return read.mean(dim=1)


class Bottleneck(nn.Module):
    """Three convolutions around a residual, as ResNet-50 has them."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * EXPANSION
        self.path = nn.Sequential(
            *_convolution(before, width, 1),
            nn.ReLU(),
            *_convolution(width, width, 3, stride=stride),
            nn.ReLU(),
            *_convolution(width, after, 1),
        )
        plain = before == after and stride == 1
        self.aside = nn.Identity() if plain else nn.Sequential(*_convolution(before, after, 1, stride=stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 of shape (batch, 4 x width, ...)."""
        return torch.relu(self.path(x) + self.aside(x))


def _convolution(before: int, after: int, size: int, *, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(after)


class Convolutions(nn.Module):
    """ResNet-50's stack, 24 million parameters, on pictures of 3 x 64 x 64."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = 64
        for stage, (width, count) in enumerate(STAGES):
            for number in range(count):
                blocks.append(Bottleneck(before, width, 2 if stage and not number else 1))
                before = width * EXPANSION
        self.enter = nn.Sequential(*_convolution(3, 64, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(*blocks)
        self.score = nn.Linear(before, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 of shape (batch, 10), for float32 of shape (batch, 3, 64, 64)."""
        seen = self.blocks(self.enter(x)).mean(dim=(2, 3))
        scores: torch.Tensor = self.score(seen)
        return scores


@dataclass(frozen=True, slots=True)
class Known:
    """A network by name: how to make it, and one row of its input."""

    title: str
    make: Callable[[], nn.Module]
    dtype: str
    shape: tuple[int, ...]
    task: str = "raw"


NETWORKS: Mapping[str, Known] = {
    "mlp": Known("MLP 32-64-2", lambda: mlp(sizes=(32, 64, 2)), "float32", (32,)),
    "sentence": Known("sentence transformer, 128 tokens", Sentence, "int64", (TOKENS,)),
    "convolutions": Known("ResNet-50-sized convolutions", Convolutions, "float32", (3, PIXELS, PIXELS)),
}


def write_network(name: str, repository: Path) -> MadeVersion:
    """Write version 1 of a network as a model with its name, in the format export."""
    known = NETWORKS[name]
    manifest = {
        "inputs": [{"name": "x", "field": "x", "dtype": known.dtype, "shape": list(known.shape)}],
        "outputs": {"task": known.task, "activation": "none"},
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return write_module(repository, known.make(), name=name, manifest=manifest)


def rows_of(name: str, rows: int) -> torch.Tensor:
    """Return made-up input, on the processor."""
    known = NETWORKS[name]
    shape = (rows, *known.shape)
    return torch.randint(0, VOCABULARY, shape) if known.dtype == "int64" else torch.rand(shape)
