"""Attempts: loads that ended their process are remembered, so that a version does not do so at every start.

An attempt is a file that its process holds a lock on. A process that dies leaves the file and lets go of the lock,
which is how the next one counts it, whatever its worker id is.
"""

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stream_infer.clock import Clock
from stream_infer.errors import Stop

NAME: Final = re.compile(r"(?P<pair>\d+-[0-9a-f]+)-[0-9a-f]{32}")


class Attempt:
    """One load under way; it is over with `end`, and counts as a crash when the process dies before."""

    def __init__(self, folder: Path, pair: str) -> None:
        self._folder = folder
        self._pair = pair
        self._path = folder / f"{pair}-{uuid.uuid4().hex}"
        self._descriptor: int | None = _create_locked(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Note that the process lived through it: what died of the same pair before is forgotten.

        May be called again, from any thread.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        for path in [self._path, *_dead(self._folder, self._pair)]:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


class Attempts:
    """The attempts on this machine; `folder` is made when the first begins."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def crashes(self, revision: int, digest: str, *, within_s: float | None = None) -> int:
        """Return how many processes died while they loaded this version for this revision.

        `within_s` leaves out the loads that began longer ago, by the wall clock.
        """
        dead = _dead(self._folder, _pair(revision, digest))
        return sum(1 for path in dead if within_s is None or self._age_s(path) <= within_s)

    def marks(self, revision: int, digest: str) -> Path:
        """Return the pattern of the files that hold this against a version, for people to remove."""
        return self._folder / f"{_pair(revision, digest)}-*"

    def _age_s(self, path: Path) -> float:
        try:
            return self._clock.wall_s() - path.stat().st_mtime
        except OSError:
            return 0.0

    def begin(self, revision: int, digest: str) -> Attempt:
        """Note that this process loads a version now. Raises Stop when the folder cannot be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return Attempt(self._folder, _pair(revision, digest))
        except OSError as error:
            raise Stop(
                f"{self._folder} cannot hold the mark of a load: {error.strerror}, expected a folder that can be "
                "written (model.cache_directory)"
            ) from error


def _pair(revision: int, digest: str) -> str:
    return f"{revision}-{digest}"


def _create_locked(path: Path) -> int:
    """Create a file that is locked before it has its name, so that it never looks dead; return its descriptor."""
    unnamed = path.with_name(f".{path.name}")
    descriptor = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
    except OSError:
        os.close(descriptor)
        unnamed.unlink(missing_ok=True)
        raise
    return descriptor


def _dead(folder: Path, pair: str) -> Iterator[Path]:
    """Yield the attempts of a pair whose process is gone."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return
    for path in paths:
        named = NAME.fullmatch(path.name)
        if named and named["pair"] == pair and path.is_file() and not _is_held(path):
            yield path


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True  # it went meanwhile, or is no file of ours
    try:
        # Shared, so that two who look at the same time do not take each other for the process that loads.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
