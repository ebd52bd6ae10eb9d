"""Scores as JSON: one object for each row."""

import math
from collections.abc import Iterable
from typing import Any

from stream_infer.model import LoadedVersion, Scored


def to_objects(scored: Scored, version: LoadedVersion) -> list[dict[str, Any]]:
    """Return prediction, label, confidence, scores and model_version of each row.

    JSON has no NaN and no infinity: null stands for them.
    """
    is_class = version.manifest.outputs.task == "classification"
    columns = zip(
        scored.prediction_column().to_pylist(),
        scored.label_column().to_pylist(),
        scored.confidence_column().to_pylist(),
        scored.scores_column().to_pylist(),
        strict=True,
    )
    return [
        {
            "prediction": _class(prediction) if is_class else _finite(prediction),
            "label": label,
            "confidence": _finite(confidence),
            "scores": [_finite(score) for score in scores],
            "model_version": version.version,
        }
        for prediction, label, confidence, scores in columns
    ]


def chain(parts: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the objects of all parts, in their order."""
    return [one for part in parts for one in part]


def _class(prediction: float | None) -> int | None:
    return None if prediction is None else int(prediction)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
