"""The PromQL of dashboard and alerts, and the metrics that a worker has."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml
from prometheus_client import CollectorRegistry

from stream_infer.settings import load_settings
from stream_infer.web.asked import BATCH_PREDICT, PREDICT
from stream_infer.web.counts import PredictCounts
from stream_infer.worker import Host, Worker

FILES: Final = Path(__file__).parents[2] / "helm" / "stream-infer" / "files"
SUFFIXES: Final = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
    "info": ("_info",),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as it is in the chart."""
    made: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    return made


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's graphs."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shown() -> dict[str, str]:
    """Return each expression of a graph by the graph's title and query, with a value for what Grafana puts in."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in panels()
        for target in panel["targets"]
    }


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names. Raises ValueError for one that is no PromQL."""
    return {selector.name for selector in _selectors(promql.parse(expression))}


def labels_in(expression: str) -> dict[str, set[str]]:
    """Return for each metric of an expression the labels that it is asked for."""
    found: dict[str, set[str]] = {}
    for selector in _selectors(promql.parse(expression)):
        found.setdefault(selector.name, set()).update(one.name for one in selector.matchers.matchers)
    return found


def _selectors(node: Any) -> Iterator[Any]:
    match node:
        case promql.VectorSelector():
            yield node
        case promql.MatrixSelector():
            yield node.vector_selector
        case promql.Call():
            for argument in node.args:
                yield from _selectors(argument)
        case promql.BinaryExpr():
            yield from _selectors(node.lhs)
            yield from _selectors(node.rhs)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            yield from _selectors(node.expr)


def registry() -> CollectorRegistry:
    """Return the metrics of a worker that nobody has started, those of its pages among them."""

    def crash(error: BaseException) -> None:
        raise error

    made = Worker(Host(crash, lambda: False), load_settings(None, ["topics.input=events"], {})).registry
    PredictCounts(made, paths=(PREDICT, BATCH_PREDICT))
    return made


def names_of(registry: CollectorRegistry) -> set[str]:
    """Return the names of all samples that a registry may have."""
    return {family.name + suffix for family in registry.collect() for suffix in SUFFIXES[family.type]}
