"""The model again, in numpy alone: what every prediction must equal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Reference(Protocol):
    """Scores features without any of the code under test."""

    def scores(self, features: Sequence[Sequence[float]]) -> Floats:
        """Return the activated output, float64 of shape (rows, classes), for rows of features."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer; `weight` is float64 of shape (out, in), `bias` of shape (out,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class MlpReference:
    """Linear layers with ReLU between them and softmax at the end, computed in float64."""

    layers: tuple[Layer, ...]

    def scores(self, features: Sequence[Sequence[float]]) -> Floats:
        # Avro carried the features as float32.
        values: Floats = np.asarray(features, dtype=np.float32).astype(np.float64)
        for layer in self.layers[:-1]:
            values = np.maximum(values @ layer.weight.T + layer.bias, 0.0)
        return softmax(values @ self.layers[-1].weight.T + self.layers[-1].bias)


def softmax(logits: Floats) -> Floats:
    """Return each row's exponentials, scaled to sum to 1."""
    grown: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Floats = grown / grown.sum(axis=1, keepdims=True)
    return scaled
