"""Outputs: what the model returns, as scores, predictions, labels and confidences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stream_infer.errors import Stop
from stream_infer.model.manifest import Outputs
from stream_infer.model.scored import Scored

_DIMENSIONS = (1, 2)


class BadOutput(Exception):
    """The model returned something else than one row of numbers for each row it was given."""


@dataclass(frozen=True, slots=True)
class Activated:
    """The model with its activation: what runs on the device. Yields (rows, k), float32 or float64."""

    network: Callable[..., torch.Tensor]
    activation: str

    def __call__(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Call the model and activate its output; raises BadOutput for one that is not (rows,) or (rows, k)."""
        output = _checked(self.network(*tensors), rows=len(tensors[0]))
        table = _wide(output if output.dim() > 1 else output.unsqueeze(1))
        if self.activation == "softmax":
            return torch.softmax(table, dim=1)
        return torch.sigmoid(table) if self.activation == "sigmoid" else table


def check_width(outputs: Outputs, width: int) -> None:
    """Raise Stop when a model with `width` outputs a row cannot mean what the manifest says."""
    if outputs.task != "classification":
        return
    if width == 1 and outputs.activation != "sigmoid":
        raise Stop(
            f"model.yaml has task classification with activation {outputs.activation} and the model returns one "
            "number a row, expected activation sigmoid, or one number for each class"
        )
    classes = max(width, 2)
    if outputs.labels and len(outputs.labels) != classes:
        raise Stop(
            f"model.yaml names {len(outputs.labels)} labels and the model scores {classes} classes, expected as many"
        )


def score(output: NDArray[np.floating], outputs: Outputs) -> Scored:
    """Return what an activated output, shape (rows, k), means for the task.

    Classification: the arg max and its score; one sigmoid output p scores as [1-p, p]; several sigmoid outputs are
    independent labels and predict nothing. Regression: the one value; several predict nothing. Raw: scores alone.
    """
    width = output.shape[1]
    if outputs.task == "classification" and width == 1:
        return _classify(np.concatenate([1 - output, output], axis=1), outputs)
    if outputs.task == "classification" and outputs.activation != "sigmoid":
        return _classify(output, outputs)
    if outputs.task == "regression" and width == 1:
        return Scored(_narrow(output), prediction=output[:, 0].astype(np.float64))
    return Scored(_narrow(output))


def _classify(output: NDArray[np.floating], outputs: Outputs) -> Scored:
    scores = _narrow(output)
    best = scores.argmax(axis=1)
    return Scored(
        scores,
        prediction=best.astype(np.float64),
        label_index=best if outputs.labels else None,
        labels=outputs.labels,
        confidence=scores.max(axis=1),
    )


def _narrow(output: NDArray[np.floating]) -> NDArray[np.float32]:
    if output.dtype == np.float32:
        return output
    with np.errstate(over="ignore"):
        return output.astype(np.float32)


def _checked(output: object, *, rows: int) -> torch.Tensor:
    if not isinstance(output, torch.Tensor):
        raise BadOutput(f"it returned a {type(output).__name__}, expected one tensor")
    if output.dim() not in _DIMENSIONS or output.shape[0] != rows or not output.shape[-1]:
        raise BadOutput(f"it returned shape {list(output.shape)} for {rows} rows, expected [{rows}] or [{rows}, k]")
    return output


def _wide(output: torch.Tensor) -> torch.Tensor:
    """Return whole numbers and doubles as float64, other floating types as float32."""
    if output.dtype in {torch.float32, torch.float64}:
        return output
    return output.to(torch.float32 if output.is_floating_point() else torch.float64)
