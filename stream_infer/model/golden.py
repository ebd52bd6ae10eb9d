"""Golden samples: inputs with the scores that the version must give for them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Stop
from stream_infer.model.version import LoadedVersion


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a golden file."""

    line: int
    inputs: dict[str, Any]
    scores: list[float]


def check(version: LoadedVersion, content: bytes, *, batch_size: int) -> str:
    """Score the samples and return one sentence about them; `content` is JSON lines.

    Raises Stop that names the first line that cannot be read or scored, or differs by more than `golden_tolerance`
    (absolute, and relative to the expected score).
    """
    samples = read_samples(content, name=str(version.manifest.golden))
    size = min(batch_size, version.max_batch_size or batch_size)
    worst = max(_check_batch(version, samples[start : start + size]) for start in range(0, len(samples), size))
    return f"golden: {len(samples)} samples, largest difference {worst:.2g}"


def read_samples(content: bytes, *, name: str) -> list[Sample]:
    """Return the samples of a golden file called `name`. Raises Stop for a line that is none, or no lines."""
    samples = [_sample(line, number, name) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    if not samples:
        raise Stop(f"{name} is empty, expected golden samples, one JSON object a line")
    return samples


def _sample(line: bytes, number: int, name: str) -> Sample:
    expected = '{"inputs": {...}, "scores": [...]}'
    try:
        value = json.loads(line)
        return Sample(number, dict(value["inputs"]), [float(one) for one in value["scores"]])
    except (ValueError, KeyError, TypeError) as error:
        raise Stop(f"{name}, line {number}, is no golden sample ({error!r}), expected {expected}") from error


def _check_batch(version: LoadedVersion, samples: Sequence[Sample]) -> float:
    prepared = version.prepare(pa.RecordBatch.from_pydict(dict(_columns(version, samples))))
    name = version.manifest.golden
    for reject in prepared.rejects:
        raise Stop(f"{name}, line {samples[reject.row].line}, cannot be scored: {reject.message}")
    scores = version.launch(prepared).result().scores
    return max(
        _difference(row, sample, where=f"{name}, line {sample.line},", tolerance=version.manifest.golden_tolerance)
        for row, sample in zip(scores, samples, strict=True)
    )


def _columns(version: LoadedVersion, samples: Sequence[Sample]) -> Iterator[tuple[str, pa.Array]]:
    for field in version.fields:
        try:
            yield field, pa.array([_pick(sample.inputs, field) for sample in samples])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            lines = f"lines {samples[0].line} to {samples[-1].line}"
            raise Stop(f"{version.manifest.golden}, {lines}, mix types in field {field}: {error}") from error


def _pick(inputs: dict[str, Any], path: str) -> Any:
    """Return the value under a dotted path, written flat or nested; None when there is none."""
    if path in inputs:
        return inputs[path]
    first, _, rest = path.partition(".")
    below = inputs.get(first)
    return _pick(below, rest) if rest and isinstance(below, dict) else None


def _difference(scores: NDArray[np.float32], sample: Sample, *, where: str, tolerance: float) -> float:
    expected = np.array(sample.scores)
    if scores.shape != expected.shape:
        raise Stop(f"{where} expects {len(expected)} scores, the model gives {len(scores)}")
    if not np.allclose(scores, expected, rtol=tolerance, atol=tolerance):
        worst = int(np.abs(scores - expected).argmax())
        raise Stop(
            f"{where} expects {expected[worst]:.6g} as score {worst}, the model gives {scores[worst]:.6g}: "
            f"more apart than golden_tolerance, {tolerance:g}"
        )
    return float(np.abs(scores - expected).max())
