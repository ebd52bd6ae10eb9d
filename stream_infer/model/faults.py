"""Faults of a model call: whose they are, and what may be tried next."""

from dataclasses import dataclass
from typing import Final

import torch

from stream_infer.errors import Stop, StreamInferError

NO_MEMORY: Final = (
    "can't allocate memory",  # torch's own allocator on a processor
    "out of memory",  # the CUDA runtime, where torch's allocator is not asked
    "alloc_failed",  # cuBLAS and cuDNN
    "failed to allocate memory",  # ONNX Runtime
    "bad_alloc",
    "bad allocation",
)
"""What errors say, in lower case, that have no type of their own."""


class InferenceFailed(StreamInferError):
    """The model raised for a batch: a record's fault, or the model's own; a smaller batch tells which."""


class OutOfDeviceMemory(InferenceFailed):
    """Memory, the device's or the host's, does not hold the batch; a smaller one may fit."""


class DeviceLost(Stop):
    """The device fails whatever it is asked from now on: only a new process can use it again."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error that a model call raised says that memory was too small for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in NO_MEMORY)


@dataclass(slots=True)
class RowCap:
    """Most rows of a batch that memory turned out to hold, None while it held every one; it never grows.

    One for each loaded version: another version has other needs. Lowered by the compute thread, read by any.
    """

    rows: int | None = None

    def lower(self, rows: int) -> bool:
        """Allow `rows` at most from now on; whether that is less than before."""
        if self.rows is not None and self.rows <= rows:
            return False
        self.rows = rows
        return True
