"""The Grafana dashboard, from a table of its panels: title, unit and queries with their legends."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ABOUT: Final = 'namespace=~"$namespace", pod=~"$pod"'
WIDTH: Final = 24
HEIGHT: Final = 8
A_ROW: Final = 3
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph; each query is PromQL, in which `$about` are the labels that were chosen, and its legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate(stream_infer_{name}{{$about}}[$__rate_interval]))"


def _max(name: str, by: str) -> str:
    return f"max by ({by}) (stream_infer_{name}{{$about}})"


def _quantiles(name: str, by: str = "") -> tuple[tuple[str, str], ...]:
    labels = ", ".join(filter(None, ["le", by]))
    legend = f" {{{{{by}}}}}" if by else ""
    rates = f"sum by ({labels}) (rate(stream_infer_{name}_bucket{{$about}}[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({share}, {rates})", f"p{text}{legend}") for share, text in ((0.5, "50"), (0.99, "99"))
    )


ROWS: Final[Mapping[str, tuple[Panel, ...]]] = {
    "Throughput": (
        Panel("Records read", "cps", ((_rate("records_consumed_total", "pod"), "{{pod}}"),)),
        Panel("Predictions", "cps", ((_rate("predictions_produced_total", "pod"), "{{pod}}"),)),
        Panel("Ready workers", "short", (("sum(stream_infer_ready{$about})", "ready"),)),
    ),
    "Lag and age": (
        Panel("Lag", "short", (("sum by (topic) (stream_infer_consumer_lag_records{$about})", "{{topic}}"),)),
        Panel("Age of the oldest unscored record", "s", ((_max("oldest_unscored_age_seconds", "topic"), "{{topic}}"),)),
        Panel("Longest pause of a partition", "s", ((_max("longest_partition_pause_seconds", "pod"), "{{pod}}"),)),
    ),
    "Latency": (
        Panel("Record to answer", "s", _quantiles("end_to_end_latency_seconds")),
        Panel("Stages, half of the batches", "s", _quantiles("stage_duration_seconds", "stage")[:1]),
        Panel("Stages, 99 of 100", "s", _quantiles("stage_duration_seconds", "stage")[1:]),
    ),
    "Batches": (
        Panel("Records in a batch", "short", _quantiles("batch_records")),
        Panel("What closes batches", "cps", ((_rate("batches_total", "trigger"), "{{trigger}}"),)),
        Panel(
            "Device busy, and padding",
            "percentunit",
            ((_max("device_busy_ratio", "pod"), "busy {{pod}}"), (_max("padding_ratio", "pod"), "padding {{pod}}")),
        ),
    ),
    "Model and rollouts": (
        Panel(
            "Predictions by label",
            "cps",
            ((_rate("predictions_by_label_total", "version, label"), "{{version}} {{label}}"),),
        ),
        Panel("Confidence", "percentunit", _quantiles("prediction_confidence", "version")),
        Panel("Revision that serves", "short", ((_max("model_revision", "pod, model"), "{{pod}} {{model}}"),)),
        Panel("Swaps", "cps", ((_rate("model_swaps_total", "outcome"), "{{outcome}}"),)),
        Panel("Time of a version in each phase", "s", _quantiles("model_swap_duration_seconds", "phase")[1:]),
        Panel(
            "Workers that serve another version than wanted",
            "short",
            (("sum(stream_infer_model_skew{$about})", "skew"),),
        ),
    ),
    "Dead letters": (
        Panel("Refused records", "cps", ((_rate("dead_letters_total", "stage, reason"), "{{stage}} {{reason}}"),)),
        Panel("Passed over", "cps", ((_rate("records_skipped_total", "pod"), "{{pod}}"),)),
        Panel("Answers held back", "short", ((_max("held_back_records", "pod"), "{{pod}}"),)),
    ),
    "Commits and the group": (
        Panel("Commits", "cps", ((_rate("commits_total", "outcome"), "{{outcome}}"),)),
        Panel("Transactions", "cps", ((_rate("transactions_total", "outcome"), "{{outcome}}"),)),
        Panel("Time of a commit", "s", _quantiles("transaction_duration_seconds")),
        Panel("Partitions", "short", ((_max("assigned_partitions", "pod"), "{{pod}}"),)),
        Panel("Rebalances", "cps", ((_rate("rebalances_total", "kind"), "{{kind}}"),)),
        Panel("Positions lost", "cps", ((_rate("positions_lost_total", "pod"), "{{pod}}"),)),
    ),
    "Predictions over HTTP": (
        Panel("Requests by answer", "cps", ((_rate("http_requests_total", "path, status"), "{{path}} {{status}}"),)),
        Panel("Rows scored over HTTP", "cps", ((_rate("http_predictions_total", "pod"), "{{pod}}"),)),
        Panel("Request to response", "s", _quantiles("http_predict_duration_seconds", "path")),
    ),
    "Resources": (
        Panel("Queue", "short", ((_max("queue_records", "pod"), "{{pod}}"),)),
        Panel(
            "Memory",
            "bytes",
            (
                ("max by (pod) (process_resident_memory_bytes{$about})", "{{pod}}"),
                (_max("device_memory_bytes", "pod"), "device {{pod}}"),
            ),
        ),
        Panel(
            "Cores", "short", (("sum by (pod) (rate(process_cpu_seconds_total{$about}[$__rate_interval]))", "{{pod}}"),)
        ),
    ),
}


def dashboard() -> str:
    """Return the dashboard as Grafana imports it, JSON."""
    made = {
        "title": "stream-infer",
        "uid": "stream-infer",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "tags": ["stream-infer"],
        "templating": {"list": _choices()},
        "panels": list(_panels()),
    }
    return json.dumps(made, indent=2) + "\n"


def _choices() -> list[dict[str, Any]]:
    """Return what a reader chooses on top: where the data lies, namespaces, pods."""
    names = [("namespace", "stream_infer_ready"), ("pod", 'stream_infer_ready{namespace=~"$namespace"}')]
    chosen = [
        {
            "name": label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": f"label_values({metric}, {label})",
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "current": {"text": "All", "value": "$__all"},
        }
        for label, metric in names
    ]
    return [{"name": "datasource", "type": "datasource", "query": "prometheus"}, *chosen]


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "gridPos": _place(0, top, WIDTH, 1), "panels": []}
        top += 1
        for at, panel in enumerate(panels):
            number += 1
            wide = WIDTH // A_ROW
            yield _graph(number, panel, _place(at % A_ROW * wide, top + at // A_ROW * HEIGHT, wide, HEIGHT))
        top += -(-len(panels) // A_ROW) * HEIGHT


def _graph(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": list(_targets(panel.queries)),
    }


def _targets(queries: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    for letter, (query, legend) in zip("ABCDEF", queries, strict=False):
        yield {
            "refId": letter,
            "datasource": DATASOURCE,
            "expr": query.replace("$about", ABOUT),
            "legendFormat": legend,
        }


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}
