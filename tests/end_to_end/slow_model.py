"""A model that takes its time: the scores of a small network, and multiplications whose result counts for nothing."""

import time
from pathlib import Path

import torch
from torch import nn

from stream_infer.testing.models import seeded_mlp, write_module
from tests.end_to_end.job import CLASSES, WIDTH

BURDEN_WIDTH = 2048
CALIBRATIONS = 5
VERSION = "slow"


class Slow(nn.Module):
    """The same scores as `scoring`, after `rounds` products of a wide matrix."""

    def __init__(self, scoring: nn.Module, rounds: int) -> None:
        super().__init__()
        self.scoring = scoring
        self.rounds = rounds
        self.widen = nn.Parameter(torch.zeros(WIDTH, BURDEN_WIDTH), requires_grad=False)
        self.wide = nn.Parameter(torch.eye(BURDEN_WIDTH), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        burden = x @ self.widen
        for _ in range(self.rounds):
            burden = burden @ self.wide
        scores: torch.Tensor = self.scoring(x) + burden[:, :CLASSES]
        return scores


def write_slow(repository: Path, hidden: tuple[int, ...], *, rows: int, seconds: float) -> None:
    """Write version `slow` of the job's model, which takes about `seconds` for a batch of `rows` on one thread."""
    rounds = max(1, round(seconds / _seconds_per_round(rows)))
    write_module(
        repository,
        Slow(seeded_mlp([WIDTH, *hidden, CLASSES]), rounds),
        version=VERSION,
        manifest={
            "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [WIDTH]}],
            "outputs": {"task": "classification", "activation": "softmax"},
        },
    )


def _seconds_per_round(rows: int) -> float:
    """Return what one product costs here at its fastest: other processes only ever add to it."""
    left, right = torch.rand(rows, BURDEN_WIDTH), torch.rand(BURDEN_WIDTH, BURDEN_WIDTH)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return min(_timed_product(left, right) for _ in range(CALIBRATIONS))
    finally:
        torch.set_num_threads(threads)


def _timed_product(left: torch.Tensor, right: torch.Tensor) -> float:
    started_s = time.perf_counter()
    left @ right
    return time.perf_counter() - started_s
