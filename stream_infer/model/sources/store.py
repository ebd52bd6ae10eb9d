"""Fetched versions on this machine's disk: whole or not there, whoever else fetches at the same time.

<cache>/versions/<digest>/<name>/<version>/     a version, moved here by one rename
<cache>/versions/.by-place/<hash>               the digest that was last found at a place
<cache>/versions/.partial-*/                    a fetch under way, locked by its process
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from typing import Final

from stream_infer.errors import Stop
from stream_infer.model.files import inside
from stream_infer.model.manifest import MANIFEST_NAME, FileEntry, digest_of, parse_manifest, read_manifest_bytes
from stream_infer.model.sources.copy import CHUNK_BYTES, Cancelled, refuse_cancelled, sync, writing

_PARTIAL: Final = ".partial-"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Partial:
    """A fetch under way: `whole` is what becomes the version's folder, `scratch` is thrown away."""

    whole: Path
    scratch: Path


class Store:
    """The fetched versions below a cache folder."""

    def __init__(self, cache: Path) -> None:
        self._root = cache / "versions"

    def place(self, digest: str, name: str, version: str) -> Path:
        """Return where a version of this digest lies, or would."""
        return self._root / digest / name / version

    def versions(self) -> Iterator[Path]:
        """Yield the folder of every version."""
        yield from self._root.glob("[!.]*/*/*")

    def holds(self, place: Path, digest: str, *, cancelled: Cancelled) -> bool:
        """Say whether a version lies there whole: every byte is read. A version that does counts as used now.

        Raises Stop when it was cancelled meanwhile.
        """
        listed = _listed(place, digest)
        try:
            if listed is None or not all(_is_as(entry, path, cancelled) for path, entry in listed.items()):
                return False
            os.utime(place)
        except OSError:
            return False
        return True

    @contextmanager
    def partial(self) -> Iterator[Partial]:
        """Yield a folder of one's own; what is left of it afterwards, and of fetches whose process died, is removed.

        Raises Stop when the cache cannot be written.
        """
        with writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            folder, lock = _locked_folder(self._root)
        try:
            made = Partial(folder / "whole", folder / "scratch")
            with writing(folder):
                made.whole.mkdir()
                made.scratch.mkdir()
            yield made
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def keep(self, partial: Partial, place: Path, *, digest: str) -> None:
        """Move a whole version to its place; one that lies there stays if it is whole. Raises Stop on a full disk."""
        with writing(place):
            for folder, _, _ in os.walk(partial.whole):
                sync(Path(folder))
            place.parent.mkdir(parents=True, exist_ok=True)
            if not _moved(partial.whole, place) and not self.holds(place, digest, cancelled=_never):
                # Whoever reads the damaged one goes on with the files that it opened.
                place.rename(partial.scratch / "damaged")
                _moved(partial.whole, place)
            sync(place.parent)

    def remember(self, partial: Partial, where: str, *, digest: str) -> None:
        """Note which digest lies at a place; raises Stop when that cannot be written."""
        note, fresh = self._note(where), partial.scratch / "note"
        with writing(note):
            note.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(digest, "ascii")
            fresh.rename(note)

    def remembered(self, where: str) -> str | None:
        """Return the digest that was last found at a place; None for a place that is not known."""
        try:
            digest = self._note(where).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return digest if _DIGEST.fullmatch(digest) else None

    def _note(self, where: str) -> Path:
        return self._root / ".by-place" / hashlib.sha256(where.encode()).hexdigest()

    def _sweep(self) -> None:
        """Remove what fetches left whose process is gone: nobody holds its lock."""
        for folder in self._root.glob(f"{_PARTIAL}*"):
            lock = _try_lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _never() -> bool:
    return False


def _listed(place: Path, digest: str) -> Mapping[Path, FileEntry] | None:
    """Return what a version's files must be; None when it is not there, or not the version of this digest."""
    try:
        content = read_manifest_bytes(place)
        manifest = parse_manifest(content, source=str(place / MANIFEST_NAME))
        files = {inside(place, name): entry for name, entry in manifest.files.items()}
    except Stop:
        return None
    return files if digest_of(content) == digest else None


def _is_as(entry: FileEntry, path: Path, cancelled: Cancelled) -> bool:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != entry.size_bytes:
            return False
        while chunk := file.read(CHUNK_BYTES):
            refuse_cancelled(cancelled)
            digest.update(chunk)
    return digest.hexdigest() == entry.sha256


def _moved(whole: Path, place: Path) -> bool:
    """Rename a folder; return False when there is one at its place, which another process may have put there."""
    try:
        whole.rename(place)
    except OSError as error:
        if error.errno not in {EEXIST, ENOTEMPTY}:
            raise
        return False
    return True


def _locked_folder(root: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it for as long as this process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=root))
        lock = _try_lock(folder)
        # A sweep that came between the making and the locking takes it for abandoned.
        if lock is not None and folder.is_dir():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Return a descriptor that locks a folder; None when another process has it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
