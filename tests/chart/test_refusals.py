"""Values that cannot work together are refused, all at once, a sentence each."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, SETS, Helm, Refused

pytestmark = pytest.mark.chart

BASE = SETS[0].with_name("url.yaml")
NO_BROKERS = "config.kafka.bootstrap_servers is not set, expected the brokers' addresses, as kafka:9092."
CASES = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text(encoding="utf-8"))


def subject(case: dict[str, Any]) -> str:
    return str(case["sentence"]).partition(",")[0]


def refused(helm: Helm, *values: Any, kubernetes: str = "1.34.0") -> str:
    with pytest.raises(Refused) as found:
        helm.text(*values, kubernetes=kubernetes)
    return str(found.value)


@pytest.mark.parametrize("case", CASES, ids=subject)
def test_what_cannot_work_is_refused_with_a_sentence(helm: Helm, case: dict[str, Any]) -> None:
    assert case["sentence"] in refused(helm, BASE, case["values"]).splitlines()


def test_an_image_volume_needs_a_kubernetes_that_has_them(helm: Helm) -> None:
    said = refused(helm, SETS[0].with_name("image-volume.yaml"), kubernetes="1.32.4")
    assert "modelVolume.type is image, which needs Kubernetes 1.33 or later, expected another type" in said


def test_everything_that_is_wrong_is_told_at_once(helm: Helm) -> None:
    said = refused(helm, {}).splitlines()
    assert NO_BROKERS in said
    assert len([line for line in said if ", expected " in line]) == 2


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "OTEL_EXPORTER_OTLP_HEADERS",
        "AZURE_STORAGE_CONNECTION_STRING", "STREAM_INFER_KAFKA__PROPERTIES__SASL_PASSWORD",
        "STREAM_INFER_SCHEMA_REGISTRY__PROPERTIES__BASIC_AUTH_USER_INFO",
    ],
)  # fmt: skip
def test_a_variable_that_is_a_secret_by_its_name_comes_from_a_secret_alone(helm: Helm, name: str) -> None:
    said = refused(helm, BASE, {"extraEnv": [{"name": name, "value": "hunter2"}]})
    assert f"extraEnv has a value for {name}, " in said
    assert "hunter2" not in said
    named = {"name": name, "valueFrom": {"secretKeyRef": {"name": "store", "key": "value"}}}
    assert named in helm.render(BASE, {"extraEnv": [named]}).worker["env"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/google.json"),
        ("STREAM_INFER_KAFKA__PROPERTY_FILES__SASL_PASSWORD", "/etc/password"),
        ("MLFLOW_TRACKING_URI", "https://mlflow.example/a@b"),
        ("STREAM_INFER_MODEL__REPOSITORY", "abfs://models@account.example/fraud"),
    ],
)
def test_a_variable_that_is_no_secret_may_be_a_text(helm: Helm, name: str, value: str) -> None:
    given = {"name": name, "value": value}
    assert given in helm.render(BASE, {"extraEnv": [given]}).worker["env"]


@pytest.mark.parametrize("case", [case for case in CASES if "hunter2" in str(case)], ids=subject)
def test_a_secret_that_is_refused_is_not_repeated(helm: Helm, case: dict[str, Any]) -> None:
    assert "hunter2" not in refused(helm, BASE, case["values"])


@pytest.mark.parametrize(
    "security", [{"runAsUser": None, "runAsGroup": None}, {"runAsUser": None}, {"runAsGroup": 20000}], ids=str
)
def test_mounted_secrets_are_read_by_a_group_of_the_chart_s_or_of_the_platform_s(helm: Helm, security: Any) -> None:
    assert helm.render(SETS[0].with_name("sasl-keda.yaml"), {"security": security}).of("Deployment")


def test_every_sentence_of_the_chart_is_shown_to_be_said() -> None:
    template = (CHART / "templates" / "_refuse.tpl").read_text(encoding="utf-8")
    lines = [line for line in template.splitlines() if ", expected " in line]
    told = [NO_BROKERS, *(case["sentence"] for case in CASES)]
    unsaid = [line for line in lines if not any(re.fullmatch(pattern(line), sentence) for sentence in told)]
    assert len(lines) > 15
    assert [line for line in unsaid if "Kubernetes 1.33" not in line] == []


def pattern(line: str) -> str:
    """Return what a line of a template may become."""
    return ".*".join(map(re.escape, re.split(r"\{\{.*?\}\}", line)))
