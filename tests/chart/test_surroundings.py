"""What stands around the workers: scaling, topics, the network, what watches them, and what is told to a person."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, SETS, Helm, Rendered

pytestmark = pytest.mark.chart

VALUES = SETS[0].parent
# Of a cluster's DNS, and of its pods on OpenShift.
DNS = (53, 5353)


def name_of(path: Path) -> str:
    return path.stem


def triggers(rendered: Rendered) -> list[Any]:
    return list(rendered.one("ScaledObject")["spec"]["triggers"])


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_replicas_are_said_by_the_deployment_or_by_one_autoscaler(helm: Helm, values: Path) -> None:
    rendered = helm.render(values)
    scalers = rendered.of("HorizontalPodAutoscaler") + rendered.of("ScaledObject")
    assert len(scalers) + ("replicas" in rendered.deployment) == 1
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": rendered.one("Deployment")["metadata"]["name"],
        }


def test_lag_of_every_input_and_of_the_retry_topic_is_looked_at(helm: Helm) -> None:
    found = triggers(helm.render(VALUES / "sasl-keda.yaml"))
    assert [one["metadata"]["topic"] for one in found] == ["cards", "wires", "fraud-again"]
    assert {one["metadata"]["consumerGroup"] for one in found} == {"fraud"}
    assert {one["metadata"]["version"] for one in found} == {"2.8.0"}
    assert {one["metadata"]["lagThreshold"] for one in found} == {"250000"}
    named = triggers(helm.render(VALUES / "scale-to-zero.yaml"))
    assert [one["metadata"]["topic"] for one in named] == ["a", "b", "stream-infer.retry"]
    assert {one["metadata"]["lagThreshold"] for one in named} == {"1000000"}
    assert {one["metadata"]["activationLagThreshold"] for one in named} == {"12"}


def test_keda_reads_the_lag_with_the_worker_s_own_secrets(helm: Helm) -> None:
    rendered = helm.render(VALUES / "sasl-keda.yaml")
    (trigger, *_) = triggers(rendered)
    assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == ("scram_sha512", "enable")
    made = rendered.one("TriggerAuthentication")
    assert trigger["authenticationRef"] == {"name": made["metadata"]["name"]}
    assert {one["parameter"]: (one["name"], one["key"]) for one in made["spec"]["secretTargetRef"]} == {
        "username": ("kafka-user", "username"),
        "password": ("kafka-user", "password"),
        "ca": ("kafka-ca", "ca.crt"),
    }


def test_keda_reads_the_lag_with_what_it_is_given(helm: Helm) -> None:
    rendered = helm.render(VALUES / "client-certificate.yaml")
    (trigger,) = triggers(rendered)
    assert trigger["authenticationRef"] == {"name": "kafka"}
    assert trigger["metadata"]["tls"] == "enable"
    assert trigger["metadata"]["offsetResetPolicy"] == "latest"
    assert "sasl" not in trigger["metadata"]
    assert rendered.of("TriggerAuthentication") == []


def test_lag_that_cannot_be_read_leaves_a_number_of_workers(helm: Helm) -> None:
    spec = helm.render(VALUES / "scale-to-zero.yaml").one("ScaledObject")["spec"]
    assert spec["fallback"] == {"failureThreshold": 2, "replicas": 0}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 12)


def test_the_topics_are_made_before_the_workers_start_with_settings_of_their_own(helm: Helm) -> None:
    rendered = helm.render(VALUES / "topics-registry.yaml")
    job = rendered.one("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["topics", "create", "--partitions", "12", "--replication-factor", "3"]
    first, second = rendered.of("ConfigMap")
    assert first["data"] == second["data"]
    (config,) = [one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "config"]
    assert config["configMap"]["name"] == job["metadata"]["name"]
    weights = {one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (job, second, first)
               if "annotations" in one["metadata"]}  # fmt: skip
    assert weights["ConfigMap"] < weights["Job"]
    assert helm.render(VALUES / "claim.yaml").of("Job") == []


def ports(rules: Any) -> set[int]:
    return {port["port"] for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("claim", {*DNS, 9092, 6066}),
        ("url", {*DNS, 9092, 9094, 6066, 9000}),
        ("download", {*DNS, 9092, 6066, 443}),
        ("topics-registry", {*DNS, 9092, 6066, 8081, 443}),
        ("monitoring", {*DNS, 9092, 9094, 6066, 443, 80}),
        ("placed", {*DNS, 9095, 6066, 443}),
        ("exactly-once", {*DNS, 9092, 8080, 443}),
    ],
)
def test_pods_reach_what_the_settings_name_and_no_other_port(helm: Helm, name: str, allowed: set[int]) -> None:
    policy = helm.render(VALUES / f"{name}.yaml").one("NetworkPolicy")["spec"]
    assert ports(policy["egress"]) == allowed
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def test_a_rollout_reaches_every_place_that_it_may_name(helm: Helm) -> None:
    places: list[Any] = [
        ["s3://models", "http://store:9000/models", "/models"],
        "s3://models, http://store:9000/models",
    ]
    for allowed in places:
        given = {"config": {"model": {"allowed_uri_prefixes": allowed}}}
        policy = helm.render(VALUES / "claim.yaml", given).one("NetworkPolicy")["spec"]
        assert ports(policy["egress"]) == {*DNS, 9092, 6066, 443, 9000}


def test_names_are_asked_for_over_both_protocols(helm: Helm) -> None:
    (first, *_) = helm.render(VALUES / "claim.yaml").one("NetworkPolicy")["spec"]["egress"]
    assert {(one["port"], one["protocol"]) for one in first["ports"]} == {
        (port, protocol) for port in DNS for protocol in ("UDP", "TCP")
    }


@pytest.mark.parametrize(
    ("given", "timeout"),
    [
        ({"interval": "5s"}, "5s"),
        ({"interval": "900ms"}, "900ms"),
        ({"interval": "1m"}, "10s"),
        ({"interval": "2m", "scrapeTimeout": "100s"}, "100s"),
    ],
    ids=str,
)
def test_a_scrape_never_takes_longer_than_until_the_next(helm: Helm, given: dict[str, str], timeout: str) -> None:
    monitor = helm.render(VALUES / "monitoring.yaml", {"podMonitor": given}).one("PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (given["interval"], timeout)


def test_pods_are_reached_at_one_port_by_those_who_are_named(helm: Helm) -> None:
    everyone = helm.render(VALUES / "claim.yaml").one("NetworkPolicy")["spec"]["ingress"]
    assert everyone == [{"ports": [{"port": 6066, "protocol": "TCP"}]}]
    (some,) = helm.render(VALUES / "monitoring.yaml").one("NetworkPolicy")["spec"]["ingress"]
    assert [next(iter(peer)) for peer in some["from"]] == ["namespaceSelector", "podSelector"]


def test_what_watches_is_installed_as_it_stands_in_the_chart(helm: Helm) -> None:
    rendered = helm.render(VALUES / "monitoring.yaml")
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
    assert rendered.one("PrometheusRule")["spec"] == {"groups": rules["groups"]}
    assert rendered.one("PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}
    dashboard = CHART / "files" / "dashboard.json"
    shown = [one for one in rendered.of("ConfigMap") if one["metadata"]["name"].endswith("-dashboard")]
    assert len(shown) == dashboard.exists()
    for one in shown:
        (text,) = one["data"].values()
        assert text.strip() == dashboard.read_text(encoding="utf-8").strip()
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_a_person_is_told_what_to_do_next(helm: Helm, values: Path) -> None:
    notes = helm.notes(values)
    assert "helm test fraud" in notes
    assert "rollout rollback" in notes
    assert not re.search(r"<no value>|%!|e\+0", notes)


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_the_test_asks_the_service_and_hands_over_the_event(helm: Helm, values: Path) -> None:
    rendered = helm.render(values)
    given = yaml.safe_load(values.read_text(encoding="utf-8"))
    (container,) = rendered.one("Pod")["spec"]["containers"]
    _, url, event, field, _ = container["args"]
    service = rendered.one("Service")
    assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/ready"
    assert yaml.safe_load(event) == given.get("test", {}).get("event", {})
    assert field == given["config"].get("schemas", {}).get("fields", {}).get("event_id", "event_id")
