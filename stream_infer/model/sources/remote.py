"""Folders elsewhere, read through fsspec: s3, gs, http and whatever else it knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

import aiohttp
import fsspec

from stream_infer.errors import Stop
from stream_infer.model.sources.copy import CHUNK_BYTES
from stream_infer.model.sources.faults import NotThere, reading
from stream_infer.model.sources.location import WEB, Location

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder elsewhere."""

    name: str
    is_folder: bool


class Remote:
    """A folder elsewhere. Raises Stop when its scheme is unknown, or read by a package that is not installed."""

    def __init__(self, location: Location) -> None:
        self.location = location
        with reading(str(location), scheme=location.scheme):
            self._files: Any = fsspec.filesystem(location.scheme, **_options(location))
            # Instances are shared in the process, and remember what they listed.
            self._files.invalidate_cache()

    def __str__(self) -> str:
        return str(self.location)

    def chunks(self, name: str, *, at_most: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file in the folder, at most `CHUNK_BYTES` at a time, whatever its size.

        Raises NotThere, Retry while the source is away, Stop when it refuses or redirects to another host.
        """
        place = self.location.below(*PurePosixPath(name).parts)
        with reading(str(place), scheme=place.scheme), self._open(place) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def has(self, name: str) -> bool:
        """Say whether the folder holds a file that can be read; raises as `chunks` does, but for NotThere."""
        chunks = self.chunks(name)
        try:
            next(chunks, b"")
        except NotThere:
            return False
        else:
            return True
        finally:
            chunks.close()  # type: ignore[attr-defined] # a generator

    def entries(self, *names: str) -> tuple[Entry, ...]:
        """Return what lies in the folder, or in one inside it, by name; nothing when there is no such folder."""
        place = self.location.below(*names)
        try:
            with reading(str(place), scheme=place.scheme):
                found = self._files.ls(f"{place}/", detail=True)
        except NotThere:
            return ()
        entries = {_entry(one, is_web=place.scheme in WEB) for one in found}
        return tuple(sorted((one for one in entries if one.name), key=lambda one: one.name))

    def _open(self, place: Location) -> Any:
        if place.scheme in WEB:
            # One request: without a block size it is streamed, and with a size nobody asks for the headers first.
            return self._files.open(str(place), "rb", block_size=0, size=1)
        return self._files.open(str(place), "rb", block_size=CHUNK_BYTES)


def _entry(found: Any, *, is_web: bool) -> Entry:
    step = str(found["name"]).rstrip("/").rpartition("/")[2]
    return Entry(unquote(step) if is_web else step, is_folder=found["type"] == "directory")


def _options(location: Location) -> dict[str, Any]:
    return {"get_client": _web_client, "encoded": True} if location.scheme in WEB else {}


async def _web_client(**given: Any) -> aiohttp.ClientSession:
    """Return a client that follows redirects inside one origin only, and gives up on a silent server."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_other_origin)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    return aiohttp.ClientSession(**{"timeout": timeout, **given, "trace_configs": [trace]})


async def _refuse_other_origin(_session: Any, _context: Any, asked: aiohttp.TraceRequestRedirectParams) -> None:
    headers = asked.response.headers
    target = asked.url.join(asked.url.__class__(headers.get("Location", headers.get("URI", ""))))
    if target.origin() != asked.url.origin():
        raise Stop(
            f"{asked.url} redirects to {target.origin()}, expected it to stay on {asked.url.origin()}: "
            "name the address where the files are"
        )
