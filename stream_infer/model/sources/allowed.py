"""Which places a version may come from: the repository, and what the settings allow besides."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_infer.errors import Stop
from stream_infer.model.repository import folder_name
from stream_infer.model.sources.location import Location, parse_location

_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version is asked for, and what it must be.

    `uri` None means `<repository>/<name>/<version>`. `sha256` is that of `model.yaml`; a `uri` outside the repository
    needs it, and must lie below one of `allowed_uri_prefixes`. `size_bytes` is the sum of the sizes of the files that
    `model.yaml` lists; `max_bytes` is a ceiling for it.
    """

    repository: str
    uri: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    allowed_uri_prefixes: tuple[str, ...] = ()
    max_bytes: int | None = None

    @property
    def digest(self) -> str | None:
        """The `sha256` in lower case. Raises Stop when it cannot be one."""
        if self.sha256 is not None and not _DIGEST.fullmatch(self.sha256):
            raise Stop(f"the sha256 is {self.sha256!r}, expected 64 hexadecimal digits")
        return self.sha256 and self.sha256.lower()


def find_place(name: str, version: str, *, origin: Origin, needs_digest: bool = True) -> Location:
    """Return the location of a version's folder, which need not exist.

    Raises Stop for one that nothing allows, links followed, and for one outside the repository without a digest.
    """
    repository = _root(origin.repository)
    if origin.uri is None:
        place = repository.below(folder_name("model's name", name), folder_name("version", version))
        if not repository.holds(place.real()):
            raise Stop(f"{place} is a link to {place.real()}, expected a folder inside the repository {repository}")
        return place
    place = parse_location(origin.uri)
    if repository.holds(place.real()):
        return place
    prefixes = [_root(prefix) for prefix in origin.allowed_uri_prefixes]
    if not any(prefix.holds(place.real()) for prefix in prefixes):
        allowed = ", ".join(str(prefix) for prefix in (repository, *prefixes))
        raise Stop(
            f"{_said(place)} may not be fetched from, expected it below one of {allowed}: see allowed_uri_prefixes"
        )
    if needs_digest and origin.sha256 is None:
        raise Stop(f"{place} lies outside the repository {repository}, expected its sha256 beside the uri")
    return place


def _root(text: str) -> Location:
    """Return a setting's location; a folder of this machine may be relative there, and is what its links lead to."""
    is_path = not text.startswith("models:/") and "://" not in text
    return parse_location(str(Path(text).resolve()) if is_path else text).real()


def _said(place: Location) -> str:
    real = place.real()
    return str(place) if real == place else f"{place}, a link to {real},"
