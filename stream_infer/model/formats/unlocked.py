"""Bytes in memory, read by torch's loaders while other threads run: BytesIO holds the interpreter while it copies."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np


class UnlockedReader(io.RawIOBase):
    """A file over bytes that lets other threads run while it copies. Reads may be shorter only at the end."""

    def __init__(self, content: bytes) -> None:
        self._content = np.frombuffer(content, np.uint8)
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, which may lie behind the end, and return it. Raises ValueError for one below 0."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._content)}[whence]
        if base + offset < 0:
            raise ValueError(f"the position is {base + offset}, expected 0 or more")
        self._at = base + offset
        return self._at

    def readinto(self, target: Any) -> int:
        """Copy what follows into a buffer and return how many bytes that were."""
        space = np.frombuffer(target, np.uint8)
        part = self._content[self._at : self._at + len(space)]
        np.copyto(space[: len(part)], part)
        self._at += len(part)
        return len(part)


@contextmanager
def as_file(content: bytes) -> Iterator[str | IO[bytes]]:
    """Yield a path to a file in memory with these bytes, or a reader of them where there are no such files.

    For loaders in C++, which from Python's files make two copies more.
    """
    if not hasattr(os, "memfd_create"):
        yield io.BytesIO(content)
        return
    with os.fdopen(os.memfd_create("model"), "wb", buffering=0) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
        yield f"/proc/self/fd/{file.fileno()}"
