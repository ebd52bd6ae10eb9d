"""Files of a version, read once and checked on the very bytes that are then loaded."""

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from stream_infer.errors import Stop
from stream_infer.model.manifest import FileEntry


def inside(directory: Path, name: str) -> Path:
    """Return the real path of a file of a version.

    Raises Stop for a name that leads out of the directory: absolute, with `..`, or through a symbolic link.
    """
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise Stop(f"the file name {name!r} in {directory} leaves the version's folder, expected a path inside it")
    root = directory.resolve()
    real = (root / pure).resolve()
    if not real.is_relative_to(root):
        raise Stop(f"{name} in {directory} is a link to {real}, expected a file inside the version's folder")
    return real


def read_verified(directory: Path, name: str, *, entry: FileEntry) -> bytes:
    """Return the bytes of a file whose size and SHA-256 are as its entry says.

    Raises Stop when the name leads out of the directory, or there is no such regular file, or it differs.
    """
    content = _read(inside(directory, name), label=f"{name} in {directory}", size_bytes=entry.size_bytes)
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise Stop(f"{name} in {directory} has sha256 {found}, expected {entry.sha256}: it was changed or damaged")
    return content


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file, whatever they are. Raises Stop when there is none that can be read."""
    return _read(path, label=str(path), size_bytes=None)


def _read(path: Path, *, label: str, size_bytes: int | None) -> bytes:
    """Read a file, but not before its size is right: a wrong one may be larger than memory."""
    try:
        # A pipe in place of the file must not hold up the open.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Stop(f"{label} is no regular file, expected one")
            if size_bytes is not None and found.st_size != size_bytes:
                raise Stop(f"{label} has {found.st_size} bytes, expected {size_bytes}")
            return file.read()
    except OSError as error:
        raise Stop(f"{label} cannot be read: {error.strerror}") from error
