"""Reading a schema's JSON into a tree.

A tree has no names to look up, so a schema that contains itself has none: it is refused here, as is one that is too
deep or too wide, before anything else looks at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stream_infer.avro.refusal import SchemaRefused
from stream_infer.avro.tree import (
    ArrayOf,
    AvroType,
    Default,
    Enum,
    Field,
    Fixed,
    MapOf,
    Primitive,
    Record,
    UnionOf,
    children,
)

MAX_DEPTH: Final = 32
MAX_FIELDS: Final = 2_000
_INSTANTS: Final = ("millis", "micros", "nanos")
_LOGICAL_TYPES: Final = {
    "int": {"date", "time-millis"},
    "long": {"time-micros", *(f"{kind}-{unit}" for kind in ("timestamp", "local-timestamp") for unit in _INSTANTS)},
    "string": {"uuid"},
    "bytes": {"decimal"},
    "fixed": {"decimal", "duration", "uuid"},
}
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def parse(schema: Any) -> AvroType:
    """Return the tree of a schema given as decoded JSON.

    Raises `SchemaRefused` for a schema that is malformed, contains itself, is deeper than `MAX_DEPTH` or has more
    than `MAX_FIELDS` fields once its names are resolved.
    """
    return _Parser().parse(schema, namespace="", depth=0)


@dataclass(slots=True)
class _Parser:
    known: dict[str, AvroType] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    budget: int = MAX_FIELDS

    def parse(self, schema: Any, *, namespace: str, depth: int) -> AvroType:
        if depth > MAX_DEPTH:
            raise SchemaRefused(f"the schema is nested deeper than {MAX_DEPTH} levels")
        if isinstance(schema, str):
            return self._reference(schema, namespace, depth)
        if isinstance(schema, list):
            return self._union([self.parse(each, namespace=namespace, depth=depth + 1) for each in schema])
        if not isinstance(schema, Mapping) or "type" not in schema:
            raise SchemaRefused(f"a schema is {str(schema)[:80]!r}: expected a type's name, an object or a list")
        return self._object(schema, namespace, depth)

    def _reference(self, name: str, namespace: str, depth: int) -> AvroType:
        if name in PRIMITIVES:
            return Primitive(name)
        for full in (_full_name(name, namespace), name):
            if full in self.open:
                raise SchemaRefused(f"type {full} contains itself: expected a schema without recursion")
            if full in self.known:
                self._spend(_width(self.known[full]), full)
                return self._not_too_deep(self.known[full], depth)
        raise SchemaRefused(f"type {name} is not defined in the schema")

    def _not_too_deep(self, found: AvroType, depth: int) -> AvroType:
        if depth + _height(found) > MAX_DEPTH:
            raise SchemaRefused(f"the schema is nested deeper than {MAX_DEPTH} levels once its names are resolved")
        return found

    def _union(self, branches: list[AvroType]) -> UnionOf:
        if not branches or any(isinstance(branch, UnionOf) for branch in branches):
            raise SchemaRefused("a union is empty or directly inside a union: expected one or more other types")
        return UnionOf(tuple(branches))

    def _object(self, schema: Mapping[str, Any], namespace: str, depth: int) -> AvroType:
        match schema["type"]:
            case "record" | "error" | "enum" | "fixed":
                return self._named(schema, namespace, depth)
            case "array":
                return ArrayOf(self.parse(schema.get("items"), namespace=namespace, depth=depth + 1))
            case "map":
                return MapOf(self.parse(schema.get("values"), namespace=namespace, depth=depth + 1))
            case str() as kind if kind in PRIMITIVES:
                return Primitive(kind, **_logical(schema))
            case inner:
                return self.parse(inner, namespace=namespace, depth=depth + 1)

    def _named(self, schema: Mapping[str, Any], namespace: str, depth: int) -> AvroType:
        name = schema.get("name")
        if not isinstance(name, str) or not name:
            raise SchemaRefused(f"a {schema['type']} has no name")
        full = _full_name(name, schema.get("namespace", namespace) or "")
        if full in self.known or full in self.open:
            raise SchemaRefused(f"type {full} is defined twice")
        self.open.add(full)
        built = self._build(schema, full, depth)
        self.open.remove(full)
        self.known[full] = built
        return built

    def _build(self, schema: Mapping[str, Any], full: str, depth: int) -> AvroType:
        try:
            match schema["type"]:
                case "enum":
                    return _enum(schema, full)
                case "fixed":
                    return Fixed(full, int(schema["size"]), **_logical(schema))
                case _:
                    return self._record(schema, full, depth)
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaRefused(f"type {full} is malformed: {error!r}") from error

    def _record(self, schema: Mapping[str, Any], full: str, depth: int) -> Record:
        fields = tuple(self._field(each, full, depth) for each in _listed(schema["fields"]))
        if len({each.name for each in fields}) < len(fields):
            raise SchemaRefused(f"type {full} has two fields of one name")
        return Record(full, fields)

    def _field(self, schema: Mapping[str, Any], owner: str, depth: int) -> Field:
        self._spend(1, owner)
        return Field(
            name=str(schema["name"]),
            type=self.parse(schema["type"], namespace=owner.rpartition(".")[0], depth=depth + 1),
            aliases=tuple(map(str, schema.get("aliases") or ())),
            default=Default(schema["default"]) if "default" in schema else None,
        )

    def _spend(self, fields: int, name: str) -> None:
        self.budget -= fields
        if self.budget < 0:
            raise SchemaRefused(f"the schema has more than {MAX_FIELDS} fields, counted up to type {name}")


def _enum(schema: Mapping[str, Any], full: str) -> Enum:
    symbols, default = tuple(map(str, _listed(schema["symbols"]))), schema.get("default")
    return Enum(full, symbols, default if default in symbols else None)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _width(avro_type: AvroType) -> int:
    own = len(avro_type.fields) if isinstance(avro_type, Record) else 0
    return own + sum(map(_width, children(avro_type)))


def _height(avro_type: AvroType) -> int:
    return 1 + max(map(_height, children(avro_type)), default=-1)


def _logical(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the logical type's attributes; one that does not fit its type is none, as Avro says."""
    logical, precision, scale = schema.get("logicalType"), schema.get("precision", 0), schema.get("scale", 0)
    if not isinstance(logical, str) or logical not in _LOGICAL_TYPES.get(schema["type"], ()):
        return {}
    if logical != "decimal":
        return {"logical": logical}
    valid = isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision and precision > 0
    return {"logical": logical, "precision": precision, "scale": scale} if valid else {}
