"""What options exist: every leaf of the settings with its dotted name and its environment variable."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from stream_infer.settings.root import Settings
from stream_infer.settings.types import Section

ENV_PREFIX: Final = "STREAM_INFER_"
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One leaf of the settings; `is_map` says that names of the user's own follow below it."""

    path: Path
    is_map: bool
    nullable: bool

    @property
    def name(self) -> str:
        """The dotted name, as `batching.max_batch_size`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable, as `STREAM_INFER_BATCHING__MAX_BATCH_SIZE`."""
        return ENV_PREFIX + "__".join(self.path).upper()

    def is_below(self, section: Path) -> bool:
        """Say whether the option, or what the user names below it, is part of a section."""
        length = len(section)
        return self.path[:length] == section and (length < len(self.path) or self.is_map)


@cache
def all_options() -> tuple[Option, ...]:
    """Return every option in the order in which it is declared."""
    return tuple(_leaves(Settings, ()))


def find_option(path: Path) -> tuple[Option, str] | None:
    """Return the option that a path leads to and the name below it, empty unless it is a map; None where none is."""
    for option in all_options():
        below = path[len(option.path) :]
        if path[: len(option.path)] == option.path and bool(below) == option.is_map:
            return option, ".".join(below)
    return None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is closest to `name`."""
    candidates = list(known)
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.0)
    return close[0] if close else ""


def nearest_option(name: str) -> str:
    """Return the dotted name of the option closest to `name`.

    The last word counts more than the whole, so that a name under the wrong section finds its own.
    """
    last = name.rpartition(".")[2]
    exact = [option.name for option in all_options() if option.path[-1] == last]
    return nearest(name, exact or (option.name for option in all_options()))


def _leaves(section: type[Section], above: Path) -> Iterator[Option]:
    for name, field in section.model_fields.items():
        inner = _section_of(field)
        path = (*above, name)
        if inner is not None:
            yield from _leaves(inner, path)
        else:
            yield Option(path, is_map=_is_map(field.annotation), nullable=_is_nullable(field))


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _is_map(annotation: Any) -> bool:
    return get_origin(_bare(annotation)) is dict


def _is_nullable(field: FieldInfo) -> bool:
    """Say whether null means something: as a value of its own, or as "computed"."""
    kind = _bare(field.annotation)
    return field.default is None or (get_origin(kind) in {Union, UnionType} and NoneType in get_args(kind))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
