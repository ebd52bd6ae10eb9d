"""Values that cannot work together are refused, all at once, a sentence each."""

import re
from typing import Any

import pytest

from tests.chart.rendering import CHART, SETS, Helm, Refused

pytestmark = pytest.mark.chart

BASE = SETS[0].with_name("url.yaml")
SASL = {"security.protocol": "SASL_PLAINTEXT"}
LOGIN = {
    "sasl.username": {"secretName": "login", "key": "username"},
    "sasl.password": {"secretName": "login", "key": "password"},
}
CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"hpa": {"enabled": True}, "keda": {"enabled": True}},
        "hpa.enabled and keda.enabled are both true, expected at most one: two autoscalers undo what the other does.",
    ),
    (
        {"keda": {"enabled": True, "minReplicas": 5}},
        "keda.minReplicas is 5, expected at most keda.maxReplicas, 4.",
    ),
    (
        {"hpa": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
        "resources.requests.cpu is not set, expected a CPU request beside hpa.enabled: its target is a percentage of it.",
    ),
    (
        {"config": {"kafka": {"bootstrap_servers": None}}},
        "config.kafka.bootstrap_servers is not set, expected the brokers' addresses, as kafka:9092.",
    ),
    (
        {"config": {"worker_id": "one"}},
        "config.worker_id is one, expected it left out: each worker's id is its pod's name.",
    ),
    (
        {"config": {"web": {"enabled": False}}},
        "config.web.enabled is false, expected true: the probes ask the worker's pages.",
    ),
    (
        {"config": {"web": {"host": "127.0.0.1"}}},
        "config.web.host is 127.0.0.1, expected an address that nodes can reach, as 0.0.0.0: the probes come from there.",
    ),
    (
        {"config": {"model": {"cache_directory": "cache"}}},
        "config.model.cache_directory is cache, expected an absolute path: an emptyDir is mounted there.",
    ),
    (
        {"config": {"kafka": {"properties": {"sasl.password": "x"}}}},
        "config.kafka.properties.sasl.password is a secret in a ConfigMap, expected it in an existing Secret that "
        "secrets.kafka names.",
    ),
    (
        {"config": {"schema_registry": {"url": "http://registry", "properties": {"basic.auth.user.info": "a:b"}}}},
        "config.schema_registry.properties.basic.auth.user.info is a secret in a ConfigMap, expected it in an existing "
        "Secret that secrets.schemaRegistry names.",
    ),
    (
        {"config": {"kafka": {"property_files": {"sasl.password": "/x"}}}, "secrets": {"kafka": LOGIN}},
        "config.kafka.property_files.sasl.password and secrets.kafka.sasl.password are both set, expected one of them.",
    ),
    (
        {"config": {"model": {"repository": "/models"}}},
        "modelVolume.type is none and config.model.repository is /models, expected a volume for the folder or a URL.",
    ),
    (
        {"modelVolume": {"type": "persistentVolumeClaim", "persistentVolumeClaim": {"claimName": "models"}}},
        "modelVolume.type is persistentVolumeClaim and config.model.repository is https://store.example:9000/models, "
        "expected an absolute path to mount it at.",
    ),
    *(
        (
            {"config": {"model": {"repository": "/models"}}, "modelVolume": {"type": kind}},
            f"modelVolume.{kind}.{name} is empty, expected it set beside modelVolume.type: {kind}.",
        )
        for kind, name in (("persistentVolumeClaim", "claimName"), ("image", "reference"), ("download", "url"))
    ),
    (
        {
            "config": {"model": {"repository": "/models"}},
            "modelVolume": {"type": "download", "subPath": "inner", "download": {"url": "s3://models"}},
        },
        "modelVolume.subPath is inner, expected it empty beside modelVolume.type: download: name the folder in the URL.",
    ),
    (
        {"gpu": {"enabled": True}, "config": {"model": {"device": "cpu"}}},
        "gpu.enabled is true and config.model.device is cpu, expected cuda or auto: the GPU would lie idle.",
    ),
    (
        {"config": {"model": {"device": "cuda:0"}}},
        "config.model.device is cuda:0 and gpu.enabled is false, expected true: the pods would see no GPU.",
    ),
    (
        {"keda": {"enabled": True, "activationLagThreshold": 3, "transactionalInputPartitions": 12}},
        "keda.activationLagThreshold is 3, expected at least keda.transactionalInputPartitions, 12: the marks of "
        "transactions stay as lag.",
    ),
    (
        {"keda": {"enabled": True, "fallback": {"replicas": 9}}},
        "keda.fallback.replicas is 9, expected at most keda.maxReplicas, 4.",
    ),
    (
        {"keda": {"enabled": True}, "config": {"kafka": {"properties": SASL}}},
        "config.kafka.properties.sasl.mechanism is GSSAPI, expected keda.authenticationName beside it, or PLAIN or "
        "SCRAM: for others the chart makes no TriggerAuthentication.",
    ),
    (
        {"keda": {"enabled": True}, "config": {"kafka": {"properties": {**SASL, "sasl.mechanism": "PLAIN"}}}},
        "secrets.kafka names no sasl.username and sasl.password, expected both, or keda.authenticationName: KEDA reads "
        "the lag with them.",
    ),
    (
        {"keda": {"enabled": True}, "config": {"kafka": {"properties": {"ssl.ca.location": "/ca.crt"}}}},
        "config.kafka.properties.ssl.ca.location is a file of the worker's, which KEDA cannot read, expected PEM text in "
        "secrets.kafka, or keda.authenticationName.",
    ),
    (
        {"extraEnv": [{"name": "STREAM_INFER_CONFIG", "value": "/x"}]},
        "extraEnv names STREAM_INFER_CONFIG, expected another name: the chart sets that one.",
    ),
]


def refused(helm: Helm, *values: Any, kubernetes: str = "1.34.0") -> str:
    with pytest.raises(Refused) as found:
        helm.text(*values, kubernetes=kubernetes)
    return str(found.value)


@pytest.mark.parametrize(("values", "sentence"), CASES, ids=[sentence[:60] for _, sentence in CASES])
def test_what_cannot_work_is_refused_with_a_sentence(helm: Helm, values: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(helm, BASE, values).splitlines()


def test_an_image_volume_needs_a_kubernetes_that_has_them(helm: Helm) -> None:
    said = refused(helm, SETS[0].with_name("image-volume.yaml"), kubernetes="1.32.4")
    assert "modelVolume.type is image, which needs Kubernetes 1.33 or later, expected another type" in said


def test_everything_that_is_wrong_is_told_at_once(helm: Helm) -> None:
    said = refused(helm, {}).splitlines()
    assert len([line for line in said if ", expected " in line]) == 2


def test_every_sentence_of_the_chart_is_shown_to_be_said() -> None:
    template = (CHART / "templates" / "_refuse.tpl").read_text(encoding="utf-8")
    lines = [line for line in template.splitlines() if ", expected " in line]
    told = [sentence for _, sentence in CASES]
    unsaid = [line for line in lines if not any(re.fullmatch(pattern(line), sentence) for sentence in told)]
    assert len(lines) > 15
    assert [line for line in unsaid if "Kubernetes 1.33" not in line] == []


def pattern(line: str) -> str:
    """Return what a line of a template may become."""
    return ".*".join(map(re.escape, re.split(r"\{\{.*?\}\}", line)))
