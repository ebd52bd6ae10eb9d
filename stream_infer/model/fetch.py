"""Fetch: a version from where it lies to a folder on this machine, whole and checked, or not at all."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stream_infer.errors import Retry, Stop
from stream_infer.model.files import inside
from stream_infer.model.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    digest_of,
    parse_manifest,
    read_manifest_bytes,
)
from stream_infer.model.repository import VersionDirectory, find_version
from stream_infer.model.sources import registry
from stream_infer.model.sources.allowed import Origin, find_place
from stream_infer.model.sources.copy import Cancelled, Source, read_at_most, refuse_cancelled, write_verified
from stream_infer.model.sources.faults import NotThere
from stream_infer.model.sources.location import MLFLOW, Location, parse_location
from stream_infer.model.sources.remote import Remote
from stream_infer.model.sources.store import Partial, Store

__all__ = ["Origin", "Pinned", "Progress", "fetch_version", "pin_version", "resolve"]

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told, after every chunk, of the bytes that were fetched and of the bytes in all."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a rollout's record says of a version, so that every worker gets the same bytes.

    `uri` is None for a version that is looked up in the repository; `size_bytes` is the sum of the listed files.
    """

    version: str
    uri: str | None
    sha256: str
    size_bytes: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class _Read:
    """A manifest that is as it was asked for."""

    content: bytes
    manifest: Manifest

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.manifest.files.values())


@dataclass(frozen=True, slots=True)
class _Task:
    """One fetch from elsewhere."""

    name: str
    version: str
    place: Location
    origin: Origin
    store: Store
    cancelled: Cancelled
    progress: Progress

    def kept(self, digest: str | None) -> Path | None:
        """Return the copy of a digest that lies in the store whole; raises Stop when it is not as asked for."""
        if digest is None:
            return None
        place = self.store.place(digest, self.name, self.version)
        if not self.store.holds(place, digest, cancelled=self.cancelled):
            return None
        # A worker that has a copy must not take what one that has none refuses.
        _checked(read_manifest_bytes(place), str(self.place), origin=self.origin)
        return place


def fetch_version(
    name: str,
    version: str,
    *,
    origin: Origin,
    cache: Path,
    cancelled: Cancelled = lambda: False,
    progress: Progress = lambda _done, _whole: None,
) -> VersionDirectory:
    """Return a version's folder on this machine: where it lies if that is here, else fetched to below `cache`.

    A copy that was fetched before is used when every byte is as it should be. Raises Retry while the source is away,
    and Stop when the version is not there, may not be read or named, is not as asked for, does not fit on the disk, or
    when `cancelled` says so between two chunks.
    """
    place = find_place(name, version, origin=origin)
    if place.is_local:
        _read_here(name, version, place=place, origin=origin)
        return VersionDirectory(name, version, place.path)
    task = _Task(name, version, place, origin, Store(cache), cancelled, progress)
    kept = task.kept(origin.digest)
    if kept is not None:
        return VersionDirectory(name, version, kept)
    with task.store.partial() as partial:
        return VersionDirectory(name, version, _bring(task, partial))


def pin_version(name: str, version: str, *, origin: Origin) -> Pinned:
    """Return what a record that names this version says of it: the number in place of an alias, and today's digest.

    Reads `model.yaml` alone. Raises as `fetch_version` does, but for a `uri` without a digest.
    """
    asked = origin if origin.uri is None else replace(origin, uri=resolve(origin.uri))
    place = find_place(name, version, origin=asked, needs_digest=False)
    if place.is_local:
        read = _read_here(name, version, place=place, origin=asked)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            read = _read_there(name, version, source=_open(place, Path(scratch)), origin=asked)
    return Pinned(version, asked.uri, read.digest, read.size_bytes, read.manifest)


def resolve(uri: str) -> str:
    """Return a URI in its one spelling, with an MLflow alias replaced by the number that it stands for now.

    Raises Stop for one that cannot be taken, Retry while MLflow's server is away.
    """
    location = parse_location(uri)
    return str(registry.pinned(location) if location.scheme == MLFLOW else location)


def _bring(task: _Task, partial: Partial) -> Path:
    """Fetch what is missing and return the folder in the store."""
    try:
        source = _open(task.place, partial.scratch)
        read = _read_there(task.name, task.version, source=source, origin=task.origin)
    except Retry as reason:
        # A version never changes, so the copy from last time is as good as what cannot be reached.
        last = None if task.origin.digest else task.kept(task.store.remembered(str(task.place)))
        if last is None:
            raise
        fields = {"version": task.version}
        log.warning("version %s of model %s comes from the cache: %s", task.version, task.name, reason, extra=fields)
        return last
    kept = task.kept(read.digest)
    if kept is None:
        kept = task.store.place(read.digest, task.name, task.version)
        _download(task, source, read=read, folder=partial.whole)
        task.store.keep(partial, kept, digest=read.digest)
    task.store.remember(partial, str(task.place), digest=read.digest)
    return kept


def _download(task: _Task, source: Source, *, read: _Read, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < read.size_bytes:
        raise Stop(f"{source} has {read.size_bytes} bytes and {folder.parent.parent} has room for {free}")
    done = 0

    def told(size: int) -> None:
        nonlocal done
        done += size
        task.progress(done, read.size_bytes)
        refuse_cancelled(task.cancelled)

    refuse_cancelled(task.cancelled)
    for name, entry in _files(read):
        chunks = source.chunks(name, at_most=entry.size_bytes)
        write_verified(chunks, inside(folder, name), entry=entry, label=f"{source}/{name}", told=told)
    own = FileEntry(sha256=read.digest, size_bytes=len(read.content))
    write_verified([read.content], folder / MANIFEST_NAME, entry=own, label=MANIFEST_NAME, told=lambda _size: None)


def _files(read: _Read) -> list[tuple[str, FileEntry]]:
    if MANIFEST_NAME in read.manifest.files:
        raise Stop(f"{MANIFEST_NAME} lists itself under files, expected the others alone")
    return list(read.manifest.files.items())


def _open(place: Location, scratch: Path) -> Source:
    return registry.Registered(place, scratch) if place.scheme == MLFLOW else Remote(place)


def _read_here(name: str, version: str, *, place: Location, origin: Origin) -> _Read:
    if origin.uri is None:
        find_version(origin.repository, name, version=version)  # its sentence lists what is there
    # A link out of the folder would let the manifest be another's.
    inside(place.path, MANIFEST_NAME)
    return _checked(read_manifest_bytes(place.path), str(place), origin=origin)


def _read_there(name: str, version: str, *, source: Source, origin: Origin) -> _Read:
    label = f"{source}/{MANIFEST_NAME}"
    try:
        chunks = source.chunks(MANIFEST_NAME, at_most=MAX_MANIFEST_BYTES)
        content = read_at_most(chunks, MAX_MANIFEST_BYTES, label=label)
    except NotThere:
        if origin.uri is None:
            find_version(origin.repository, name, version=version)  # its sentence lists what is there
        raise
    return _checked(content, str(source), origin=origin)


def _checked(content: bytes, label: str, *, origin: Origin) -> _Read:
    """Return the manifest in these bytes; raises Stop when it is not as asked for."""
    found = digest_of(content)
    if origin.digest not in {None, found}:
        raise Stop(
            f"{MANIFEST_NAME} in {label} has sha256 {found}, expected {origin.digest}: it is another one, or changed"
        )
    read = _Read(content, parse_manifest(content, source=f"{label}/{MANIFEST_NAME}"))
    if origin.size_bytes not in {None, read.size_bytes}:
        raise Stop(f"the files of {label} have {read.size_bytes} bytes in all, expected {origin.size_bytes}")
    if origin.max_bytes is not None and read.size_bytes > origin.max_bytes:
        raise Stop(f"the files of {label} have {read.size_bytes} bytes in all, expected at most {origin.max_bytes}")
    return read
