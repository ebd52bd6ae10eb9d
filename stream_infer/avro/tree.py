"""An Avro schema as a tree of types: names resolved in place, aliases and defaults kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stream_infer.errors import WrongUse


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type; `logical` is its logical type when there is one."""

    kind: str
    logical: str | None = None
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Fixed:
    """`size` bytes."""

    name: str
    size: int
    logical: str | None = None
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Enum:
    """One of `symbols`; `default` stands for a symbol that the reader does not know."""

    name: str
    symbols: tuple[str, ...]
    default: str | None


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """A list of items."""

    items: "AvroType"


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values by text keys."""

    values: "AvroType"


@dataclass(frozen=True, slots=True)
class UnionOf:
    """A value of one of several types."""

    branches: "tuple[AvroType, ...]"

    @property
    def nullable(self) -> bool:
        """Return whether null is one of the branches."""
        return NULL in self.branches

    @property
    def present(self) -> "tuple[AvroType, ...]":
        """Return the branches that are not null."""
        return tuple(branch for branch in self.branches if branch != NULL)


@dataclass(frozen=True, slots=True)
class Default:
    """A field's default, as the schema's JSON writes it."""

    json: Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    type: "AvroType"
    aliases: tuple[str, ...] = ()
    default: Default | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields in order."""

    name: str
    fields: tuple[Field, ...]

    def project(self, names: Sequence[str] | None) -> "Record":
        """Return the record with only the named fields, in its own order; None keeps all.

        Raises `WrongUse` for a name that is no field.
        """
        if names is None:
            return self
        known = [each.name for each in self.fields]
        for name in names:
            if name not in known:
                raise WrongUse(f"there is no field {name!r} in {self.name}: expected one of {', '.join(known)}")
        return Record(self.name, tuple(each for each in self.fields if each.name in names))


AvroType = Primitive | Fixed | Enum | ArrayOf | MapOf | UnionOf | Record
NULL: Final = Primitive("null")


def optional(avro_type: AvroType) -> AvroType | None:
    """Return T for a union of null and T alone, else None."""
    if isinstance(avro_type, UnionOf) and len(avro_type.branches) == 2 and len(avro_type.present) == 1:  # noqa: PLR2004
        return avro_type.present[0]
    return None


def present(avro_type: AvroType) -> AvroType:
    """Return T for T, and for a union of null and T alone."""
    return optional(avro_type) or avro_type


def children(avro_type: AvroType) -> Iterator[AvroType]:
    """Yield the types directly inside a type."""
    match avro_type:
        case Record():
            yield from (each.type for each in avro_type.fields)
        case ArrayOf():
            yield avro_type.items
        case MapOf():
            yield avro_type.values
        case UnionOf():
            yield from avro_type.branches
        case _:
            return
