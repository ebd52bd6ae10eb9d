"""Copy: chunks to a file that is as its entry says, with a ceiling from the first byte on."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from stream_infer.errors import Stop
from stream_infer.model.manifest import FileEntry

CHUNK_BYTES: Final = 4 << 20

Cancelled = Callable[[], bool]
"""Whether the fetch was given up; asked between chunks."""


class Source(Protocol):
    """The folder of one version, wherever it lies; its text says where."""

    def chunks(self, name: str, *, at_most: int) -> Iterator[bytes]:
        """Yield the bytes of a file, which the caller stops after `at_most`.

        Raises Retry while the source is away, Stop when it has no such file or says beforehand that it is larger.
        """
        ...


class FetchCancelled(Stop):
    """The fetch was given up by whoever asked for it."""


def refuse_cancelled(cancelled: Cancelled) -> None:
    """Raise FetchCancelled when the fetch was given up."""
    if cancelled():
        raise FetchCancelled("the fetch was given up: another version is wanted, or the worker ends")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise Stop with one sentence when a path cannot be written: a full disk, a cache that belongs to another."""
    try:
        yield
    except OSError as error:
        raise Stop(
            f"{path} cannot be written ({error.strerror}), expected model.cache_directory to have room"
        ) from error


def sync(path: Path) -> None:
    """Make what was written to a folder last; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_at_most(chunks: Iterable[bytes], size_bytes: int, *, label: str) -> bytes:
    """Return all bytes; raises Stop as soon as they are more than `size_bytes`."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > size_bytes:
            raise Stop(f"{label} has more than {size_bytes} bytes, expected at most so many")
    return bytes(content)


def write_verified(
    chunks: Iterable[bytes], path: Path, *, entry: FileEntry, label: str, told: Callable[[int], None]
) -> None:
    """Write a new file that has the size and SHA-256 of its entry; `told` hears of the bytes of each chunk.

    Raises Stop when it differs, with no more written than its size, or when it cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb", buffering=0) as file:
            for chunk in chunks:
                size += len(chunk)
                if size > entry.size_bytes:
                    raise Stop(f"{label} has more than the {entry.size_bytes} bytes that model.yaml says")
                digest.update(chunk)
                _write_all(file.write, chunk)
                told(len(chunk))
            os.fsync(file.fileno())
    if size != entry.size_bytes:
        raise Stop(f"{label} has {size} bytes, expected {entry.size_bytes}")
    if digest.hexdigest() != entry.sha256:
        raise Stop(f"{label} has sha256 {digest.hexdigest()}, expected {entry.sha256}: it was changed or damaged")


def _write_all(write: Callable[[memoryview], int | None], chunk: bytes) -> None:
    """Write a chunk; the system may take it in parts, as it does when the disk is nearly full."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[write(rest) or 0 :]
