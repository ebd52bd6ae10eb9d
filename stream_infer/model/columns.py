"""Arrow columns as NumPy arrays of one input's rows; a row that does not fit is named, and its batch-mates are kept."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stream_infer.errors import Reason, Reject, Stage, Stop
from stream_infer.model.manifest import Input

Mask = NDArray[np.bool_]

# NumPy has no bfloat16: such an input is read as float32 and narrowed by torch.
_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(np.float32),
    "int64": np.dtype(np.int64),
    "int32": np.dtype(np.int32),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """One input's values, shape (rows, *shape), and the rows that do not fit; those hold anything."""

    values: NDArray[Any]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Values in the input's type; `unset` are nulls that nothing fills, `misfit` are out of the type's range."""

    values: NDArray[Any]
    unset: Mask | None
    misfit: Mask | None


def find_column(columns: pa.RecordBatch, path: str) -> pa.Array:
    """Return the column of this name, or the field inside structs that the dotted path leads to.

    A null struct makes all its fields null. Raises Stop when there is none.
    """
    index = columns.schema.get_field_index(path)
    if index >= 0:
        return columns.column(index)
    first, _, rest = path.partition(".")
    if rest and columns.schema.get_field_index(first) >= 0:
        # A path that leads nowhere is told below, with the fields that there are.
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            return pc.struct_field(columns.column(first), rest.split("."))
    there = ", ".join(columns.schema.names) or "none"
    raise Stop(f"the model needs the input field {path}, which events do not have; their fields are {there}")


def read_rows(columns: pa.RecordBatch, spec: Input) -> Rows:
    """Return one input's rows from its columns.

    Values are in the input's type, bfloat16 as float32. Where Arrow holds that type already and nothing is wrong, they
    are a read-only view of its buffer. Raises Stop for a column that is not there.
    """
    if spec.fields is not None:
        return _stack([_read_scalars(columns, name, spec=spec) for name in spec.fields])
    if not spec.row_shape:
        return _read_scalars(columns, spec.sources[0], spec=spec)
    return _read_arrays(columns, spec.sources[0], spec=spec)


def _stack(parts: list[Rows]) -> Rows:
    values = np.stack([part.values for part in parts], axis=1)
    return Rows(values, tuple(reject for part in parts for reject in part.rejects))


def _read_scalars(columns: pa.RecordBatch, name: str, *, spec: Input) -> Rows:
    column = find_column(columns, name)
    numbers = _numbers(column, spec)
    if numbers is None:
        return _wrong_type(len(column), name, found=column.type, spec=spec)
    return Rows(numbers.values, tuple(_refusals(numbers, name, dtype=spec.dtype)))


def _read_arrays(columns: pa.RecordBatch, name: str, *, spec: Input) -> Rows:
    lists = _as_lists(find_column(columns, name))
    if lists is None:
        return _wrong_type(columns.num_rows, name, found=find_column(columns, name).type, spec=spec)
    offsets = lists.offsets.to_numpy()
    numbers = _numbers(lists.values.slice(offsets[0], offsets[-1] - offsets[0]), spec)
    if numbers is None:
        return _wrong_type(len(lists), name, found=lists.type, spec=spec)
    shape = (len(lists), math.prod(spec.row_shape))
    lengths = np.diff(offsets)
    if lists.null_count or (lengths != shape[1]).any():
        return _gather(lists, name, numbers=numbers, spec=spec)
    table = _Numbers(
        numbers.values.reshape(shape), _any_per_row(numbers.unset, shape), _any_per_row(numbers.misfit, shape)
    )
    return Rows(_shaped(table.values, spec), tuple(_refusals(table, name, dtype=spec.dtype)))


def _gather(lists: pa.Array, name: str, *, numbers: _Numbers, spec: Input) -> Rows:
    """Pick the rows that have the right length out of a column where some have not."""
    width = math.prod(spec.row_shape)
    offsets = lists.offsets.to_numpy()
    lengths = np.diff(offsets)
    absent: Mask = lists.is_null().to_numpy(zero_copy_only=False)
    good = ~absent & (lengths == width)
    items = (offsets[:-1] - offsets[0])[good][:, None] + np.arange(width)
    values = np.full((len(lists), width), spec.nulls or 0, dtype=numbers.values.dtype)
    values[good] = numbers.values[items]
    unset = absent.copy() if spec.nulls is None else np.zeros_like(absent)
    misfit = np.zeros_like(absent)
    if numbers.unset is not None:
        unset[good] = numbers.unset[items].any(axis=1)
    if numbers.misfit is not None:
        misfit[good] = numbers.misfit[items].any(axis=1)
    rejects = [*_refusals(_Numbers(values, unset, misfit), name, dtype=spec.dtype)]
    for row in np.flatnonzero(~absent & (lengths != width)).tolist():
        message = f"field {name} has {lengths[row]} items, expected {width}"
        rejects.append(Reject(row, Stage.INPUT, Reason.WRONG_LENGTH, message, name))
    return Rows(_shaped(values, spec), tuple(rejects))


def _as_lists(column: pa.Array) -> pa.Array | None:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return column
    if pa.types.is_fixed_size_list(kind):
        return column.cast(pa.list_(kind.value_type))
    if pa.types.is_null(kind):
        return column.cast(pa.list_(pa.null()))
    return None


def _numbers(array: pa.Array, spec: Input) -> _Numbers | None:
    """Return a column's numbers; None when its type holds none that could fit."""
    if not _holds_numbers(array.type, spec.dtype):
        return None
    nulls: Mask | None = None
    if array.null_count:
        nulls = array.is_null().to_numpy(zero_copy_only=False)
        array = _without_nulls(array)
    found = array.to_numpy(zero_copy_only=False)
    dtype = _DTYPES[spec.dtype]
    values = found if found.dtype == dtype else _cast(found, dtype)
    if nulls is not None and spec.nulls is not None:
        values = np.where(nulls, np.asarray(spec.nulls).astype(dtype), values)
    return _Numbers(values, nulls if spec.nulls is None else None, _misfit(found, dtype))


def _cast(found: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        return found.astype(dtype)


def _holds_numbers(kind: pa.DataType, dtype: str) -> bool:
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return True
    if pa.types.is_integer(kind):
        return dtype != "bool"
    return bool(pa.types.is_floating(kind)) and "float" in dtype


def _without_nulls(array: pa.Array) -> pa.Array:
    """Put a zero where a null is, so that NumPy need not turn the column into objects."""
    if pa.types.is_null(array.type):
        return pa.repeat(pa.scalar(value=False), len(array))
    return array.fill_null(pa.scalar(0).cast(array.type))


def _misfit(found: NDArray[Any], dtype: np.dtype[Any]) -> Mask | None:
    """Return where whole numbers are outside a smaller whole-number type; None where that cannot be."""
    if dtype.kind not in "iu" or np.can_cast(found.dtype, dtype):
        return None
    limits = np.iinfo(dtype)
    outside: Mask = (found < limits.min) | (found > limits.max)
    return outside


def _refusals(numbers: _Numbers, name: str, *, dtype: str) -> Iterator[Reject]:
    if numbers.unset is not None:
        message = (
            f"field {name} is null or has a null in it, expected numbers: the model's manifest has no `nulls` for it"
        )
        for row in np.flatnonzero(numbers.unset).tolist():
            yield Reject(row, Stage.INPUT, Reason.NULL_INPUT, message, name)
    if numbers.misfit is not None:
        for row in np.flatnonzero(numbers.misfit).tolist():
            message = f"field {name} has a number that does not fit {dtype}"
            yield Reject(row, Stage.INPUT, Reason.WRONG_TYPE, message, name)


def _wrong_type(rows: int, name: str, *, found: pa.DataType, spec: Input) -> Rows:
    shape = f"an array of {math.prod(spec.row_shape)} " if spec.field is not None and spec.row_shape else ""
    message = f"field {name} is {found}, expected {shape}{spec.dtype}"
    rejects = (Reject(row, Stage.INPUT, Reason.WRONG_TYPE, message, name) for row in range(rows))
    part = () if spec.fields is not None else spec.row_shape
    return Rows(np.zeros((rows, *part), dtype=_DTYPES[spec.dtype]), tuple(rejects))


def _any_per_row(mask: Mask | None, shape: tuple[int, int]) -> Mask | None:
    return None if mask is None else np.any(mask.reshape(shape), axis=1)


def _shaped(values: NDArray[Any], spec: Input) -> NDArray[Any]:
    return values.reshape((len(values), *spec.row_shape))
