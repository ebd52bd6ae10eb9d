"""A model that is large and cheap, as those with tables of entities are: what a swap must move, a call hardly reads."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from stream_infer.testing.models import MadeVersion, write_module

FEATURES = 32
LOOKED_UP = 4
DIMENSIONS = 64
HIDDEN = 64
CLASSES = 2
ENTRY_POINT = "embedded = embedded:Embedded\n"
METADATA = "Metadata-Version: 2.1\nName: embedded\nVersion: 1\n"
BYTES_PER_ROW = DIMENSIONS * 4


class Embedded(nn.Module):
    """Looks the first features up in a table of `rows`, and scores what it finds with all of them."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, DIMENSIONS)
        self.widen = nn.Linear(FEATURES + LOOKED_UP * DIMENSIONS, HIDDEN)
        self.score = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 of shape (batch, 2), for float32 features in [0, 1) of shape (batch, 32)."""
        at = (x[:, :LOOKED_UP] * self.table.num_embeddings).to(torch.int64).remainder(self.table.num_embeddings)
        found = self.table(at).flatten(1)
        scores: torch.Tensor = self.score(torch.relu(self.widen(torch.cat((x, found), dim=1))))
        return scores


def write_versions(repository: Path, versions: Mapping[str, int], *, kind: str, size_bytes: int) -> list[MadeVersion]:
    """Write versions of at least `size_bytes` each, by name and seed, in the format `kind`."""
    rows = -(-size_bytes // BYTES_PER_ROW)
    architecture = {"architecture": {"name": "embedded", "args": {"rows": rows}}} if kind == "safetensors" else {}
    manifest = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [FEATURES]}],
        "outputs": {"task": "classification", "activation": "softmax"},
        **architecture,
    }
    made = []
    for version, seed in versions.items():
        torch.manual_seed(seed)
        made.append(write_module(repository, Embedded(rows), version=version, format=kind, manifest=manifest))
    return made


def register(folder: Path) -> str:
    """Let a process find the architecture as it finds a user's: by an entry point; return its PYTHONPATH."""
    described = folder / "embedded-1.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(METADATA, encoding="utf-8")
    (described / "entry_points.txt").write_text(f"[stream_infer.architectures]\n{ENTRY_POINT}", encoding="utf-8")
    return f"{folder}:{Path(__file__).parent}"
