"""Trains a small network on made-up transactions and writes model.pt2 and golden.jsonl beside this file."""

import json
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent
FIELDS = ["amount", "card.age_days", "card.average_amount", "merchant.risk"]
GOLDEN = [
    [12.5, 900, 20.0, 0.01],
    [2400.0, 2, 15.0, 0.9],
    [35.0, 900, 20.0, None],
    [8.0, 1, None, None],
]
RISKY = 0.5
NEW_CARD_DAYS = 90
MISSING = 0.1


class Fraud(nn.Module):
    """One logit a row; `activation: sigmoid` in model.yaml makes the probability of fraud of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # What the model needs to make of raw fields belongs into the model: then the stream cannot do it otherwise.
        return self.layers(torch.log1p(x.clamp(min=0)))


def made_up(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of fields, some averages and risks missing, and for each whether it is fraud."""
    scale = torch.tensor([6.0, 7.0, 4.0, 0.7])
    x = torch.expm1(torch.rand(rows, 4) * scale)
    fraud = (x[:, 0] > 5 * x[:, 2]) & (x[:, 3] > RISKY) & (x[:, 1] < NEW_CARD_DAYS)
    x[:, 2:] *= torch.rand(rows, 2) > MISSING
    return x, fraud.float()


def train(model: nn.Module) -> None:
    x, fraud = made_up(4000)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], fraud)
        loss.backward()
        optimizer.step()


def main() -> None:
    torch.manual_seed(0)
    model = Fraud()
    train(model)
    model.eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(model, (torch.zeros(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, HERE / "model.pt2")
    filled = torch.tensor([[0.0 if value is None else value for value in row] for row in GOLDEN])
    with (HERE / "golden.jsonl").open("w") as file, torch.inference_mode():
        for row, p in zip(GOLDEN, torch.sigmoid(model(filled))[:, 0].tolist(), strict=True):
            sample = {"inputs": dict(zip(FIELDS, row, strict=True)), "scores": [1 - p, p]}
            file.write(json.dumps(sample) + "\n")


if __name__ == "__main__":
    main()
