"""Byte strings one after the other in one buffer, as Arrow keeps them."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Packed(Sequence[bytes]):
    """Byte strings that become Python's only when they are asked for; equal to a list of the same ones.

    Raises ValueError for an array of another type than binary, or with nulls. Value `i` is
    `data[offsets[i]:offsets[i + 1]]`; `offsets` are int32, `data` is a buffer.
    """

    def __init__(self, array: pa.BinaryArray) -> None:
        if array.type != pa.binary() or array.null_count:
            message = f"{array.null_count} nulls in an array of {array.type}: expected binary without nulls"
            raise ValueError(message)
        _, offsets, data = array.buffers()
        self._array = array
        self.offsets: NDArray[np.int32] = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        self.data: Any = b"" if data is None else data

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._array.to_pylist())

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._array[index].to_pylist()
        return self._array[index].as_py()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({list(self)!r})"
