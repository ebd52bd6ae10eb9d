"""An Avro schema that refers to others, made whole: each definition is put where its name is first used."""

from collections.abc import Mapping
from typing import Any, Final

NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


def inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema, decoded JSON, with the named `definitions` in it; later uses of a name stay names.

    Definitions may refer to one another. A name without a definition is left as it is.
    """
    return _Inliner(definitions).walk(schema, namespace="")


class _Inliner:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._pending = dict(definitions)

    def walk(self, node: Any, *, namespace: str) -> Any:
        if isinstance(node, str):
            return self._define(node, namespace=namespace)
        if isinstance(node, list):
            return [self.walk(item, namespace=namespace) for item in node]
        if isinstance(node, dict):
            return self._walk_type(node, namespace=namespace)
        return node

    def _define(self, name: str, *, namespace: str) -> Any:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self._pending:
            return name
        definition = self._pending.pop(full)
        if isinstance(definition, dict) and "." not in str(definition.get("name", "")):
            # Said outright, because a definition without one would fall into the namespace around it.
            definition = {**definition, "namespace": definition.get("namespace", "")}
        return self.walk(definition, namespace="")

    def _walk_type(self, node: dict[str, Any], *, namespace: str) -> dict[str, Any]:
        kind = node.get("type")
        inner = _namespace(node, namespace) if kind in NAMED else namespace
        walked = dict(node)
        for key in ("items", "values"):
            if key in node:
                walked[key] = self.walk(node[key], namespace=inner)
        if "fields" in node:
            walked["fields"] = [{**one, "type": self.walk(one["type"], namespace=inner)} for one in node["fields"]]
        if kind not in NAMED:
            walked["type"] = self.walk(kind, namespace=inner)
        return walked


def _namespace(node: dict[str, Any], around: str) -> str:
    before, dot, _ = str(node.get("name", "")).rpartition(".")
    return before if dot else str(node.get("namespace", around))
