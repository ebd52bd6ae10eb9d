import pytest

from tests.house.source import Module, modules

VALUES = {"errors", "packed", "records", "clock", "settings", "metrics", "tracing", "logs"}
LAYERS = [
    VALUES,
    {"avro", "model"},
    {"pipeline", "rollout"},
    {"transport", "web"},
    {"scoring", "verifying", "gauges"},
    {"loading"},
    {"steering"},
    {"worker"},
    {"app"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
LAYER = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# Where a library is at home; `testing/` may use any.
HOMES = {
    "torch": ("model/", "pipeline/infer.py", "demo/train.py"),
    "faust": ("transport/", "web/", "app.py", "cli/worker.py"),
    "mode": ("transport/", "web/", "app.py", "cli/worker.py"),
    "confluent_kafka": ("transport/", "demo/", "cli/"),
    "opentelemetry": ("tracing/spans.py",),
    "time": ("clock.py",),
}
LAYERED = [module for module in modules() if module.part not in {"__init__", "testing"}]


def parts_imported(module: Module) -> set[str]:
    names = {name for name in module.imports() if name.startswith("stream_infer.")}
    return {name.split(".")[1] for name in names} - {module.part}


@pytest.mark.parametrize("module", LAYERED, ids=lambda module: module.name)
def test_imports_point_from_the_edge_to_the_values(module: Module) -> None:
    below = {part for part, level in LAYER.items() if level < LAYER[module.part]}
    allowed = VALUES if module.part in VALUES else below
    assert parts_imported(module) - {"testing"} <= allowed


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_is_at_home(library: str) -> None:
    users = {module.name for module in LAYERED if any(name.split(".")[0] == library for name in module.imports())}
    assert {name for name in users if not name.startswith(HOMES[library])} == set()


def test_nothing_that_runs_in_a_worker_imports_what_is_for_tests() -> None:
    users = {module.name for module in LAYERED if "testing" in parts_imported(module)}
    assert {name for name in users if not name.startswith(("demo/", "cli/"))} == set()
