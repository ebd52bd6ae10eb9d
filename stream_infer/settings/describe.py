"""The effective settings as a person or a script reads them: every value, where it comes from, secrets hidden."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stream_infer.settings.load import Loaded
from stream_infer.settings.options import Option, all_options
from stream_infer.settings.root import Settings
from stream_infer.settings.secrets import HIDDEN, is_secret, without_password

INDENT: Final = "  "
HIDDEN_TEXT: Final = json.dumps(HIDDEN)


@dataclass(frozen=True, slots=True)
class Effective:
    """One value that holds: `path` leads to it, `text` is the value as YAML in one line, `origin` is who wrote it."""

    path: tuple[str, ...]
    text: str
    origin: str

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)


def effective(loaded: Loaded) -> tuple[Effective, ...]:
    """Return every value in the order in which settings are declared; secrets are hidden."""
    return tuple(row for option in all_options() for row in _rows(option, loaded))


def as_yaml(rows: tuple[Effective, ...]) -> str:
    """Return a settings file with these values, each with a comment that says where it comes from."""
    return "".join(f"{line}\n" for line in _lines(rows))


def json_schema() -> str:
    """Return the JSON schema of a settings file, as JSON text."""
    return json.dumps(Settings.model_json_schema(), indent=2)


def _rows(option: Option, loaded: Loaded) -> Iterator[Effective]:
    value: Any = loaded.settings
    for step in option.path:
        value = getattr(value, step)
    if not option.is_map or not value:
        yield _row(option.path, value, loaded)
        return
    for key, inner in value.items():
        yield _row((*option.path, key), inner, loaded)


def _row(path: tuple[str, ...], value: object, loaded: Loaded) -> Effective:
    name = ".".join(path)
    return Effective(path, HIDDEN_TEXT if is_secret(name) else without_password(_text(value)), loaded.origin_of(name))


def _lines(rows: tuple[Effective, ...]) -> Iterator[str]:
    above: tuple[str, ...] = ()
    for row in rows:
        *sections, last = row.path
        for depth, section in enumerate(sections):
            if above[: depth + 1] != tuple(sections[: depth + 1]):
                yield f"{INDENT * depth}{section}:"
        yield f"{INDENT * len(sections)}{_key(last)}: {row.text}  # from {row.origin}"
        above = tuple(sections)


def _text(value: object) -> str:
    """Return a value as JSON, which is YAML too and says which text is text."""
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace(".", "").replace("_", "").replace("-", "").isalnum() else json.dumps(name)
