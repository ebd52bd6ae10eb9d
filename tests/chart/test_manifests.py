"""Every manifest, over a matrix of values, is one that Kubernetes, KEDA and the Prometheus operator take."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, NAMESPACE, NEWEST, SETS, Helm, Manifest, annotations, manifests
from tests.chart.strict import findings
from tests.house.source import ROOT

pytestmark = pytest.mark.chart

VALUES = SETS[0].parent
OLDEST = "1.27.0"
IMAGE_VOLUMES = "1.33.0"
DOCUMENTS = (CHART / "README.md", ROOT / "docs" / "tracing.md")
EXAMPLES = [
    example
    for document in DOCUMENTS
    for example in re.findall(r"^```yaml\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]


def name_of(path: Path) -> str:
    return path.stem


def minor(version: str) -> str:
    return version.rpartition(".")[0]


@pytest.mark.parametrize("kubernetes", [OLDEST, IMAGE_VOLUMES, NEWEST])
@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_every_manifest_is_taken(helm: Helm, values: Path, kubernetes: str) -> None:
    if values.stem == "image-volume" and kubernetes == OLDEST:
        kubernetes = IMAGE_VOLUMES
    rendered = helm.render(values, kubernetes=kubernetes)
    found = {(one["kind"], finding) for one in rendered.all for finding in findings(one, kubernetes=minor(kubernetes))}
    assert found == set()


def test_there_are_enough_sets_and_they_make_every_kind(helm: Helm) -> None:
    assert len(SETS) >= 12
    kinds = {one["kind"] for values in SETS for one in helm.render(values).all}
    assert kinds == {
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Job", "NetworkPolicy", "Pod", "PodDisruptionBudget",
        "PodMonitor", "PrometheusRule", "ScaledObject", "Service", "ServiceAccount", "TriggerAuthentication",
    }  # fmt: skip


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_the_same_values_make_the_same_bytes(helm: Helm, values: Path) -> None:
    assert helm.text(values) == helm.text(values)


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_lint_finds_nothing(helm: Helm, values: Path) -> None:
    said = helm.run("lint", "--strict", str(CHART), values=[values])
    assert "0 chart(s) failed" in said
    assert not {line for line in said.splitlines() if "[WARNING]" in line or "[ERROR]" in line}


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_all_is_in_the_release_s_namespace_and_told_apart_by_kind_and_name(helm: Helm, values: Path) -> None:
    rendered = helm.render(values)
    named = [(one["kind"], one["metadata"]["name"]) for one in rendered.all]
    assert len(named) == len(set(named))
    assert {one["metadata"]["namespace"] for one in rendered.all} == {NAMESPACE}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documents_make_what_is_taken(helm: Helm, example: str) -> None:
    rendered = helm.render(yaml.safe_load(example))
    assert [finding for one in rendered.all for finding in findings(one, kubernetes=minor(NEWEST))] == []


def test_the_documents_have_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_hooks_and_only_those_are_made_before_the_release(helm: Helm) -> None:
    rendered = helm.render(VALUES / "topics-registry.yaml")
    found = {one["kind"]: annotations(one).get("helm.sh/hook") for one in rendered.all if annotations(one)}
    hooks = {kind: when for kind, when in found.items() if when}
    assert hooks == {"ConfigMap": "pre-install,pre-upgrade", "Job": "pre-install,pre-upgrade", "Pod": "test"}


# Mistakes that `helm lint` lets pass: the checks above must find each.
def misspelt_field(spec: Manifest) -> None:
    spec["template"]["spec"]["terminationGracePeriod"] = 1


def misspelt_probe(spec: Manifest) -> None:
    spec["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["pth"] = "/"


def text_for_a_number(spec: Manifest) -> None:
    spec["replicas"] = "1"


def number_for_a_text(spec: Manifest) -> None:
    spec["template"]["spec"]["containers"][0]["env"][1]["value"] = 1


def no_selector(spec: Manifest) -> None:
    del spec["selector"]


def security_in_the_wrong_place(spec: Manifest) -> None:
    spec["template"]["spec"]["capabilities"] = {"drop": ["ALL"]}


@pytest.mark.parametrize(
    "plant",
    [misspelt_field, misspelt_probe, text_for_a_number, number_for_a_text, no_selector, security_in_the_wrong_place],
)
def test_a_mistake_in_a_deployment_is_found(helm: Helm, plant: Callable[[Any], None]) -> None:
    deployment = copy.deepcopy(helm.render(SETS[0]).one("Deployment"))
    assert findings(deployment, kubernetes="1.33") == []
    plant(deployment["spec"])
    assert findings(deployment, kubernetes="1.33")


@pytest.mark.parametrize("field", ["minReplicas", "trigger", "fallBack"])
def test_an_unknown_field_of_keda_s_is_found(helm: Helm, field: str) -> None:
    scaled = helm.render(VALUES / "scale-to-zero.yaml").one("ScaledObject")
    scaled["spec"][field] = 1
    assert findings(scaled, kubernetes="1.33")


def test_a_number_among_keda_s_texts_is_found(helm: Helm) -> None:
    scaled = helm.render(VALUES / "scale-to-zero.yaml").one("ScaledObject")
    scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 10
    assert findings(scaled, kubernetes="1.33")


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_an_unknown_field_of_the_prometheus_operator_s_is_found(helm: Helm, kind: str) -> None:
    watched = helm.render(VALUES / "monitoring.yaml").one(kind)
    watched["spec"]["endpoints"] = []
    assert findings(watched, kubernetes="1.33")


def test_a_key_that_is_there_twice_is_found() -> None:
    with pytest.raises(AssertionError, match="twice"):
        list(manifests("a: 1\nb: {c: 1, c: 2}\n"))
