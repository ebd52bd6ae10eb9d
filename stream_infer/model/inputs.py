"""Inputs: columns to the tensors that the model is called with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.utils.dlpack import from_dlpack

from stream_infer.errors import Reject
from stream_infer.model.columns import Rows, read_rows
from stream_infer.model.manifest import Input

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
    "bool": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a batch's columns hold for the model.

    `rows` are those that fit, ascending; `rejects` names each other row once; `tensors` are in the order of the
    model's arguments, each (len(rows), *shape) in host memory, and may share it with the columns.
    """

    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    tensors: tuple[torch.Tensor, ...]

    def part(self, start: int, stop: int) -> "Inputs":
        """Return the fitting rows `start` to `stop - 1`, counted from 0, without the refusals."""
        return Inputs(self.rows[start:stop], (), tuple(tensor[start:stop] for tensor in self.tensors))


def read_inputs(columns: pa.RecordBatch, specs: Sequence[Input], *, precision: torch.dtype | None) -> Inputs:
    """Return the inputs in these columns; floating ones in `precision` when it is given, else as their manifest says.

    Raises Stop for a column that is not there.
    """
    parts = [read_rows(columns, spec) for spec in specs]
    first_refusal: dict[int, Reject] = {}
    for reject in (reject for part in parts for reject in part.rejects):
        first_refusal.setdefault(reject.row, reject)
    rows = np.arange(columns.num_rows)
    if first_refusal:
        rows = np.delete(rows, list(first_refusal))
        parts = [Rows(part.values[rows], ()) for part in parts]
    tensors = (_tensor(part.values, spec, precision=precision) for part, spec in zip(parts, specs, strict=True))
    return Inputs(rows, tuple(first_refusal[row] for row in sorted(first_refusal)), tuple(tensors))


def pad(tensors: Sequence[torch.Tensor], rows: int) -> tuple[torch.Tensor, ...]:
    """Return the tensors with their last row repeated until they have `rows`; that row is one the model can take."""
    return tuple(_pad(tensor, rows) for tensor in tensors)


def example_inputs(specs: Sequence[Input], rows: int, *, precision: torch.dtype | None) -> tuple[torch.Tensor, ...]:
    """Return tensors of zeros, which every model can take, of this many rows."""
    zeros = (torch.zeros((rows, *spec.row_shape), dtype=DTYPES[spec.dtype]) for spec in specs)
    return tuple(_in_precision(tensor, precision) for tensor in zeros)


def _tensor(values: NDArray[Any], spec: Input, *, precision: torch.dtype | None) -> torch.Tensor:
    tensor = _share(values)
    if spec.dtype == "bfloat16":
        tensor = tensor.to(torch.bfloat16)
    return _in_precision(tensor, precision)


def _share(values: NDArray[Any]) -> torch.Tensor:
    """Return a tensor over the array's memory: Arrow's own where nothing was converted."""
    if values.flags.writeable:
        return torch.from_numpy(values)
    try:
        # from_numpy warns about read-only memory; models that write to their inputs are found when they are loaded.
        return from_dlpack(values)
    except BufferError:  # NumPy and torch before they agreed on read-only DLPack
        return torch.from_numpy(values.copy())


def _in_precision(tensor: torch.Tensor, precision: torch.dtype | None) -> torch.Tensor:
    return tensor.to(precision) if precision is not None and tensor.is_floating_point() else tensor


def _pad(tensor: torch.Tensor, rows: int) -> torch.Tensor:
    missing = rows - len(tensor)
    if not missing:
        return tensor
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])
