from collections.abc import Iterable
from typing import Any, NewType

import numpy as np
from numpy.typing import NDArray

Handle = NewType("Handle", object)

def expect() -> Handle: ...
def is_attached(handle: Handle, /) -> bool: ...
def produce(
    handle: Handle,
    topic: str,
    offsets: NDArray[np.int32],
    values: Any,
    keys: Iterable[bytes | None],
    partitions: NDArray[np.int32],
    timestamps_ms: NDArray[np.int64],
    first: int,
    /,
) -> int: ...
def reads(handle: Handle, /) -> bytes: ...
def failure(handle: Handle, /) -> tuple[int, str] | None: ...
