"""The schema of the values takes what the worker takes and refuses everything else, each rule by itself."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from stream_infer.settings import load_settings
from stream_infer.settings.options import all_options
from tests.chart.rendering import CHART, SETS, Helm, Refused
from tests.chart.rules import SCHEMA, Broken, every_rule

pytestmark = pytest.mark.chart

BASE = SETS[0].with_name("claim.yaml")
RULES = list(every_rule())


@pytest.mark.parametrize("broken", RULES, ids=str)
def test_values_that_break_one_rule_are_refused(helm: Helm, broken: Broken) -> None:
    with pytest.raises(Refused) as refused:
        helm.text(BASE, broken.values)
    assert f"at '{broken.where}" in str(refused.value)


def test_every_kind_of_rule_is_broken_somewhere() -> None:
    kinds = {"type", "anyOf", "enum", "required", "additionalProperties", "patternProperties"}
    bounds = {"minimum", "exclusiveMinimum", "maximum", "minLength", "minItems", "uniqueItems", "pattern"}
    assert {rule.keyword for rule in RULES} == kinds | bounds


def test_every_value_has_a_rule_and_every_rule_a_value_or_a_setting() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(SCHEMA["properties"]) - {"global"} == set(values)
    for name, node in SCHEMA["properties"].items():
        if "properties" in node:
            # How to scale up is Kubernetes' own way unless it is named.
            assert set(node["properties"]) - {"scaleUp"} == set(values[name])


def test_every_setting_can_be_given(helm: Helm) -> None:
    defaults = json.loads((CHART / "files" / "settings.json").read_text(encoding="utf-8"))["defaults"]
    assert list(defaults) == [option.name for option in all_options()]
    config: dict[str, Any] = {}
    for option in all_options():
        inner = config
        for step in option.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[option.path[-1]] = defaults[option.name]
    config["web"]["host"] = "::"
    config["model"] |= {"repository": "/models", "cache_directory": "/cache"}
    config["kafka"]["bootstrap_servers"] = "kafka:9092"
    assert without_nulls(helm.render(BASE, {"config": config}).settings) == without_nulls(config)


def without_nulls(config: Any) -> Any:
    """Return settings without those that are null: whether helm hands them on depends on its version."""
    if not isinstance(config, dict):
        return config
    return {key: without_nulls(value) for key, value in config.items() if value is not None}


@pytest.mark.parametrize(
    "config",
    [
        {"model": {"version": 3}},
        {"topics": {"input": "a,b"}},
        {"topics": {"input": ["a", "b"]}},
        {"kafka": {"properties": {"enable.ssl.certificate.verification": False, "fetch.min.bytes": 10}}},
        {"delivery": {"commit_interval_ms": 50}},
        {"schemas": {"passthrough": []}},
    ],
)
def test_what_the_worker_takes_in_a_file_is_taken_here(helm: Helm, config: Any, tmp_path: Any) -> None:
    rendered = helm.render(BASE, {"config": config})
    file = tmp_path / "stream-infer.yaml"
    file.write_text(yaml.safe_dump(rendered.settings), encoding="utf-8")
    load_settings(file, (), {})


def test_the_rules_of_settings_are_those_of_the_worker_s_own_schema() -> None:
    command = [sys.executable, "-m", "stream_infer", "config", "--schema"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    theirs = json.loads(ended.stdout)
    ours = SCHEMA["definitions"]
    for name, node in [*theirs["$defs"].items(), ("Settings", theirs)]:
        assert list(ours[name]["properties"]) == list(node["properties"])
        assert ours[name]["additionalProperties"] is False
