"""Which values are nobody's business."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from stream_infer.settings.root import Settings

HIDDEN: Final = "[hidden]"

_SECRET: Final = re.compile(
    r"""
    password | passphrase | secret | token | credential | sasl\.jaas\.config | oauthbearer\.config
    | user\.info | private\.key | key\.pem | keystore\.pem | assertion
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PUBLIC: Final = re.compile(r"(\.location|\.url|\.uri|\.method|\.algorithm|\.file)$")
_PLACE: Final = re.compile(r"(^STREAM_INFER_.*|_FILE|_PATH|_CREDENTIALS)$")
"""Environment variables that name a file, or that the settings were read from."""
_IN_URL: Final = re.compile(r"(?<=://)[^/\s]+(?=@)")
"""Who asks, and by which password: up to the last @ before the path."""


def is_secret(name: str) -> bool:
    """Say whether the value of a dotted name is hidden; the path of a file that holds a secret is not."""
    below_files = name.startswith(("kafka.property_files.", "schema_registry.property_files."))
    return not below_files and bool(_SECRET.search(name)) and not _PUBLIC.search(name)


def without_password(text: str) -> str:
    """Return text in which every URL hides whom it is asked for and by which password."""
    return _IN_URL.sub(HIDDEN, text)


def known_secrets(settings: "Settings", environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every secret that the settings hold or name the file of, and those of environment variables.

    A file that cannot be read is passed over: who needs it says so.
    """
    kafka, registry = settings.kafka, settings.schema_registry
    outside = {name: value for name, value in environ.items() if not _PLACE.search(name)}
    for maps in (kafka.properties, kafka.consumer_properties, kafka.producer_properties, registry.properties, outside):
        for name, value in maps.items():
            if is_secret(name):
                yield from (value, value.partition(":")[2])
    for name, path in (*kafka.property_files.items(), *registry.property_files.items()):
        if is_secret(name):
            yield from _lines_of(path)
    for text in (registry.url or "", settings.model.repository, *environ.values()):
        for found in _IN_URL.findall(text):
            user, _, password = found.partition(":")
            yield unquote(password or user)


def _lines_of(path: Path) -> Iterator[str]:
    """Yield a file's text, and where it has several lines, as a key in PEM has, each of them."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text("utf-8")
        yield from {text.rstrip("\r\n"), *text.splitlines()}
