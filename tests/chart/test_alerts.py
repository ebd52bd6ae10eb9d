"""The alerts, as Prometheus itself evaluates them: promtool, which Debian's package prometheus has."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from tests.observability.expressions import FILES, registry, rules

pytestmark = pytest.mark.chart

CASES = Path(__file__).with_name("alerts.yaml")


def promtool(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    assert found, "there is no promtool here: expected Debian's package prometheus to be installed"
    return subprocess.run([found, *words], input=text, capture_output=True, text=True, check=False)


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    done = promtool("test", "rules", str(CASES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    asked = [
        case for test in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"] for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in asked if case["exp_alerts"]} == names
    assert {case["alertname"] for case in asked if not case["exp_alerts"]} == names


def test_a_case_that_is_wrong_is_found(tmp_path: Path) -> None:
    broken = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    broken["rule_files"] = [str(FILES / "alerts.yaml")]
    for test in broken["tests"]:
        for case in test["alert_rule_test"]:
            case["exp_alerts"] = []
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(broken), encoding="utf-8")
    assert promtool("test", "rules", str(tmp_path / "cases.yaml")).returncode != 0


def test_the_rules_are_sound_for_prometheus() -> None:
    done = promtool("check", "rules", str(FILES / "alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_and_types_of_all_metrics_are_as_prometheus_wants_them() -> None:
    done = promtool("check", "metrics", text=generate_latest(registry()).decode())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("text", ["# TYPE stream_infer_batches counter\nstream_infer_batches 1\n"])
def test_a_metric_with_a_name_that_is_not_is_found(text: str) -> None:
    assert promtool("check", "metrics", text=text).returncode != 0
