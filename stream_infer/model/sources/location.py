"""Locations: the folder that a path or URL names, in one spelling, so that two of them can be compared."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from stream_infer.errors import Stop

LOCAL: Final = "file"
MLFLOW: Final = "models"
WEB: Final = frozenset({"http", "https"})
_PORTS: Final = {"http": ":80", "https": ":443"}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Location:
    """A folder: on this machine (`file`), in MLflow's registry (`models`), or on a host or in a bucket.

    `steps` are the names on the way to it; in `file`, `http` and `https` they are what %-escapes stand for.
    """

    scheme: str
    host: str
    steps: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine."""
        return self.scheme == LOCAL

    @property
    def path(self) -> Path:
        """Where it lies on this machine; means something for local ones only."""
        return Path("/", *self.steps)

    def below(self, *names: str) -> "Location":
        """Return the folder, or the file, with these names inside this one."""
        return replace(self, steps=(*self.steps, *names))

    def holds(self, other: "Location") -> bool:
        """Say whether another location is this one or lies inside it; `/a/b` does not hold `/a/bc`."""
        same_root = (self.scheme, self.host) == (other.scheme, other.host)
        return same_root and other.steps[: len(self.steps)] == self.steps

    def real(self) -> "Location":
        """Return where it lies when symbolic links are followed; elsewhere than on this machine that is itself."""
        return replace(self, steps=self.path.resolve().parts[1:]) if self.is_local else self

    def __str__(self) -> str:
        if self.is_local:
            return str(self.path)
        steps = (quote(step, safe="~!$&'()*+,;=:@") if self.scheme in WEB else step for step in self.steps)
        root = f"{self.scheme}:/" if self.scheme == MLFLOW else f"{self.scheme}://{self.host}/"
        return (root + "/".join(steps)).rstrip("/")


def parse_location(text: str) -> Location:
    """Return the folder that an absolute path, a URL or a `models:/` URI names.

    Raises Stop for one that can be read in two ways: with `..` in any spelling, empty steps, a user or password, a
    query, a chain of URLs, a relative path.
    """
    if _UNPRINTABLE.search(text) or "\\" in text or "::" in text:
        raise _refused(text, "has a control character, a backslash or '::'")
    if text.startswith(f"{MLFLOW}:"):
        return _in_registry(text)
    if _URL.match(text):
        return _of_url(text)
    if not text.startswith("/"):
        raise _refused(text, "is neither")
    return Location(LOCAL, "", _steps(text, text, decode=False))


def _in_registry(text: str) -> Location:
    path = text.removeprefix(f"{MLFLOW}:")
    if not path.startswith("/") or path.startswith("//"):
        raise Stop(
            f"{text!r} is no URI of MLflow's registry, expected models:/<name>/<number> or models:/<name>@<alias>"
        )
    return Location(MLFLOW, "", _steps(path, text, decode=False))


def _of_url(text: str) -> Location:
    url = urlsplit(text)
    scheme = url.scheme.lower()
    if "?" in text or "#" in text:
        raise _refused(text, "has a query or a fragment")
    if "@" in url.netloc:
        raise _refused(text.replace(url.netloc, "..."), "has a user or a password in it")
    if scheme == LOCAL:
        if url.netloc not in {"", "localhost"}:
            raise Stop(f"{text!r} is a file of the host {url.netloc}, expected a path of this machine: file:///...")
        return Location(LOCAL, "", _steps(url.path, text, decode=True))
    if not _HOST.fullmatch(url.netloc):
        raise _refused(text, f"has the host {url.netloc!r}")
    # Names of hosts are the same in any case; names of buckets are not.
    host = url.netloc.lower().removesuffix(_PORTS[scheme]) if scheme in WEB else url.netloc
    return Location(scheme, host, _steps(url.path, text, decode=scheme in WEB))


def _steps(path: str, text: str, *, decode: bool) -> tuple[str, ...]:
    inner = path.removeprefix("/").removesuffix("/")
    steps = tuple(unquote(step) if decode else step for step in inner.split("/")) if inner else ()
    for step in steps:
        plain = _plain(step)
        if plain in {"", ".", ".."} or set(plain) & set("/\\") or _UNPRINTABLE.search(plain):
            raise _refused(text, f"has the step {step!r}")
    return steps


def _plain(step: str) -> str:
    """Return a step without %-escapes, however often they are escaped themselves."""
    while (decoded := unquote(step)) != step:
        step = decoded
    return step


def _refused(text: str, why: str) -> Stop:
    return Stop(f"the location {text!r} {why}, expected an absolute path or a plain URL as s3://bucket/folder")
