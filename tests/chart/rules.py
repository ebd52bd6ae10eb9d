"""Every rule of the values' schema, and values that break that one: what the chart must refuse."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.chart.rendering import CHART

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
# One value of each kind of JSON, to find one that a rule about kinds leaves out.
KINDS = {"object": {}, "array": [], "string": "text", "boolean": True, "number": 0.5, "integer": 3}
# Names that maps take, those that have a rule about names too.
NAMES = ("word", "own.avsc")
# What breaks a rule, by its keyword, from what it says.
BREAKS: dict[str, Callable[[Any], Any]] = {
    "required": lambda _: {},
    "enum": lambda _: "no such word",
    "minimum": lambda least: least - 1,
    "maximum": lambda most: most + 1,
    "exclusiveMinimum": lambda least: least,
    "minLength": lambda _: "",
    "minItems": lambda _: [],
    "uniqueItems": lambda _: ["one", "one"],
}
# No pattern takes both.
TEXTS = (" no such text ", "/")
# One that the chart sets itself.
TAKEN = "helm.sh/chart"


@dataclass(frozen=True, slots=True)
class Broken:
    """Values that break one rule: where it stands as a JSON pointer, its keyword, and the values."""

    where: str
    keyword: str
    values: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.where} {self.keyword}"


def every_rule() -> Iterator[Broken]:
    """Yield values that break each rule, one at a time."""
    yield from _rules(SCHEMA, ())


def _rules(node: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Broken]:
    node = _resolved(node)
    for keyword, wrong in _wrong(node):
        if (path, keyword) == ((), "type"):
            continue  # what helm is given is always a map
        yield Broken("/".join(["", *map(str, path)]), keyword, _at(path, wrong))
    for name, inner in node.get("properties", {}).items():
        yield from _rules(inner, (*path, name))
    for name, inner in _maps(node):
        yield from _rules(inner, (*path, name))
    if "items" in node:
        yield from _rules(node["items"], (*path, 0))


def _wrong(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each rule of one node with a value that breaks it."""
    branches = [_resolved(branch) for branch in node.get("anyOf", [])]
    kinds = {kind for one in branches or [node] for kind in _kinds(one)}
    if kinds:
        yield ("anyOf" if branches else "type"), next(KINDS[kind] for kind in KINDS if not _is_in(kind, kinds))
    for one in branches or [node]:
        yield from _bounds(one)


def _bounds(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if node.get("additionalProperties") is False:
        yield "additionalProperties", {"noSuchValue": 1}
    if False in node.get("patternProperties", {}).values():
        yield "patternProperties", {TAKEN: "text"}
    if "pattern" in node:
        yield "pattern", next(text for text in TEXTS if not re.search(node["pattern"], text))
    for keyword, broken in BREAKS.items():
        if keyword in node:
            yield keyword, broken(node[keyword])


def _maps(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a map says of its values, each with a name that it takes."""
    inner = {**node.get("patternProperties", {}), "": node.get("additionalProperties")}
    for pattern, values in inner.items():
        if isinstance(values, dict):
            yield next(name for name in NAMES if re.search(pattern, name)), values


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    return dict(SCHEMA["definitions"][node["$ref"].removeprefix("#/definitions/")])


def _kinds(node: dict[str, Any]) -> list[str]:
    kinds = node.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def _is_in(kind: str, kinds: set[str]) -> bool:
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _at(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    for step in reversed(path):
        value = [value] if step == 0 else {step: value}
    return dict(value)
