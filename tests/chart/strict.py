"""Whether a manifest is one that the cluster would take: no unknown field, no missing one, nothing of a wrong kind."""

import importlib
from functools import cache
from typing import Any

from tests.chart.rendering import Manifest

# What is no part of Kubernetes, by API version: the module that has its models.
OTHERS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}


def findings(manifest: Manifest, *, kubernetes: str) -> list[str]:
    """Return what is wrong with a manifest; `kubernetes` is a version, as 1.33."""
    if manifest["apiVersion"] in OTHERS:
        schema = _schema(manifest["apiVersion"], manifest["kind"])
        return [error.message for error in _validator(schema).iter_errors(manifest)]
    core = importlib.import_module("kubernetes_validate")
    try:
        core.validate(manifest, kubernetes, strict=True)
    except core.ValidationError as error:
        return [str(error.message)]
    return []


@cache
def _schema(api_version: str, kind: str) -> Any:
    models = importlib.import_module(OTHERS[api_version])
    return _closed(getattr(models, kind).model_json_schema(by_alias=True))


def _validator(schema: Any) -> Any:
    return importlib.import_module("jsonschema").Draft202012Validator(schema)


def _closed(node: Any) -> Any:
    """Return a schema in which an object takes no other properties than those it names."""
    if isinstance(node, list):
        return [_closed(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(inner) for key, inner in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
