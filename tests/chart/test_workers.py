"""What the pods are: their settings, their secrets, their limits, and the times that they are given."""

from pathlib import Path
from typing import Any

import pytest

from stream_infer import __version__
from stream_infer.settings import Settings, load_settings
from tests.chart.rendering import SETS, Helm, Rendered, image_environment

pytestmark = pytest.mark.chart

VALUES = SETS[0].parent
REFERENCE = f"registry.example/models@sha256:{'0123456789abcdef' * 4}"


def name_of(path: Path) -> str:
    return path.stem


def settings_of(rendered: Rendered, folder: Path) -> Settings:
    """Return what a worker reads in a pod: the mounted files, and the environment except what is known there alone."""
    return load_settings(settings_file(rendered, folder), (), environment(rendered.worker))


def environment(container: Any) -> dict[str, str]:
    """Return what a container's environment says of the settings: the image's variables, and over them the chart's."""
    chart = {one["name"]: one.get("value", "pod-1") for one in container["env"]}
    return {name: value for name, value in (image_environment() | chart).items() if name != "STREAM_INFER_CONFIG"}


def settings_file(rendered: Rendered, folder: Path) -> Path:
    """Write the mounted files of a worker as they lie in its pod and return the path of its settings."""
    data = next(one["data"] for one in rendered.of("ConfigMap") if "stream-infer.yaml" in one["data"])
    (volume,) = [one for one in rendered.pod["volumes"] if one["name"] == "config"]
    for item in volume["configMap"]["items"]:
        path = folder / item["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(data[item["key"]], encoding="utf-8")
    return folder / "stream-infer.yaml"


def mounts(container: Any) -> dict[str, Any]:
    return {one["mountPath"]: one for one in container["volumeMounts"]}


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_the_worker_takes_its_settings_and_finds_in_the_pod_what_they_name(
    helm: Helm, values: Path, tmp_path: Path
) -> None:
    rendered = helm.render(values)
    settings = settings_of(rendered, tmp_path)
    assert settings.worker_id == "pod-1"
    assert rendered.worker["ports"] == [{"name": "http", "containerPort": settings.web.port, "protocol": "TCP"}]
    there = mounts(rendered.worker)
    assert str(settings.model.cache_directory) in there
    assert "://" in settings.model.repository or settings.model.repository in there
    named = {*settings.kafka.property_files.values(), *settings.schema_registry.property_files.values()}
    secrets = [one for one in rendered.pod["volumes"] if one["name"] == "secrets"]
    sources = [source for volume in secrets for source in volume["projected"]["sources"]]
    files = {f"/run/secrets/stream-infer/{item['path']}" for one in sources for item in one["secret"]["items"]}
    assert {str(path) for path in named} == files


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_the_environment_of_every_container_changes_nothing_of_the_settings_file_but_the_id(
    helm: Helm, values: Path, tmp_path: Path
) -> None:
    rendered = helm.render(values)
    file = settings_file(rendered, tmp_path)
    written = load_settings(file, (), {}).model_dump(exclude={"worker_id"})
    assert {"STREAM_INFER_WEB__HOST", "STREAM_INFER_WEB__PORT"} <= set(image_environment())
    for container in rendered.containers():
        assert load_settings(file, (), environment(container)).model_dump(exclude={"worker_id"}) == written


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_every_container_is_as_harmless_as_it_can_be(helm: Helm, values: Path) -> None:
    rendered = helm.render(values)
    for pod in rendered.pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"].get("runAsUser", 10001) > 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in rendered.containers():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "/tmp" in mounts(container)
        assert container["resources"]["requests"]["memory"]
    assert all(one["automountServiceAccountToken"] is False for one in rendered.of("ServiceAccount"))


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_no_release_makes_a_secret(helm: Helm, values: Path) -> None:
    assert helm.render(values).of("Secret") == []


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_what_selects_workers_selects_workers_alone(helm: Helm, values: Path) -> None:
    rendered = helm.render(values)
    labels = rendered.deployment["template"]["metadata"]["labels"]
    selectors = [
        rendered.deployment["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        *(one["spec"]["selector"]["matchLabels"] for one in rendered.of("PodDisruptionBudget")),
        *(one["spec"]["selector"]["matchLabels"] for one in rendered.of("PodMonitor")),
        *(one["labelSelector"]["matchLabels"] for one in rendered.pod.get("topologySpreadConstraints", [])),
    ]
    others = [one["metadata"]["labels"] for one in rendered.of("Pod")]
    others += [one["spec"]["template"]["metadata"]["labels"] for one in rendered.of("Job")]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= other.items() for other in others)
    for policy in rendered.of("NetworkPolicy"):
        assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= one.items() for one in [labels, *others])


@pytest.mark.parametrize("values", SETS, ids=name_of)
def test_the_times_of_the_pod_leave_room_for_those_of_the_settings(helm: Helm, values: Path, tmp_path: Path) -> None:
    rendered = helm.render(values)
    settings = settings_of(rendered, tmp_path)
    startup = rendered.worker["startupProbe"]
    loads_s = settings.kafka.startup_timeout_s + settings.model.load_timeout_s
    assert rendered.pod["terminationGracePeriodSeconds"] >= settings.delivery.shutdown_timeout_s + 10
    assert startup["periodSeconds"] * startup["failureThreshold"] >= loads_s
    assert rendered.deployment["progressDeadlineSeconds"] > loads_s + 2 * settings.model.load_timeout_s
    asked = {name: rendered.worker[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert asked == {"startup": "/health", "readiness": "/ready", "liveness": "/health"}


def test_a_drain_of_ninety_seconds_makes_the_grace_period_longer(helm: Helm) -> None:
    pod = helm.render(VALUES / "exactly-once.yaml").pod
    assert pod["terminationGracePeriodSeconds"] == 91 + 30


@pytest.mark.parametrize(
    ("name", "surge", "away"), [("claim.yaml", 1, 0), ("gpu.yaml", 0, 1), ("gpu-slice.yaml", 0, 1)]
)
def test_an_update_surges_only_where_there_may_be_another_device(helm: Helm, name: str, surge: int, away: int) -> None:
    strategy = helm.render(VALUES / name).deployment["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": surge, "maxUnavailable": away}


def test_a_worker_s_id_is_its_pod_s_name(helm: Helm) -> None:
    (given,) = [one for one in helm.render(SETS[0]).worker["env"] if one["name"] == "STREAM_INFER_WORKER_ID"]
    assert given["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_other_settings_are_other_pods_and_another_chart_is_not(helm: Helm) -> None:
    plain = helm.render(SETS[0]).deployment["template"]["metadata"]
    other = helm.render(SETS[0], {"config": {"log": {"level": "debug"}}}).deployment["template"]["metadata"]
    assert plain["annotations"] != other["annotations"]
    assert "helm.sh/chart" not in plain["labels"]


def test_gpus_are_asked_for_and_used(helm: Helm) -> None:
    rendered = helm.render(VALUES / "gpu.yaml")
    assert rendered.worker["resources"]["limits"] == {"memory": "2Gi", "nvidia.com/gpu": 1}
    assert rendered.settings["model"]["device"] == "cuda"
    assert rendered.pod["runtimeClassName"] == "nvidia"
    assert [one["key"] for one in rendered.pod["tolerations"]] == ["dedicated", "nvidia.com/gpu"]


def test_a_slice_of_a_gpu_is_asked_for_by_its_name(helm: Helm) -> None:
    rendered = helm.render(VALUES / "gpu-slice.yaml")
    assert rendered.worker["resources"]["limits"] == {"nvidia.com/mig-1g.10gb": 1}
    assert rendered.settings["model"]["device"] == "cuda:0"
    assert "tolerations" not in rendered.pod


@pytest.mark.parametrize(
    ("name", "volume", "mount"),
    [
        (
            "claim",
            {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
            {"mountPath": "/models"},
        ),
        (
            "image-volume",
            {
                "image": {
                    "reference": f"registry.example/models@sha256:{'0123456789abcdef' * 4}",
                    "pullPolicy": "Always",
                }
            },
            {"mountPath": "/srv/models", "subPath": "models"},
        ),
        ("download", {"emptyDir": {"sizeLimit": "20Gi"}}, {"mountPath": "/models"}),
    ],
)
def test_the_repository_is_mounted_read_only(helm: Helm, name: str, volume: Any, mount: Any) -> None:
    rendered = helm.render(VALUES / f"{name}.yaml")
    assert {"name": "models", **volume} in rendered.pod["volumes"]
    assert {"name": "models", "readOnly": True, **mount} in rendered.worker["volumeMounts"]


def test_a_platform_that_names_users_is_given_none(helm: Helm) -> None:
    rendered = helm.render(VALUES / "platform-user.yaml")
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(rendered.pod["securityContext"])
    assert rendered.pod["serviceAccountName"] == "scoring"
    assert rendered.of("ServiceAccount") == rendered.of("NetworkPolicy") == rendered.of("PodDisruptionBudget") == []
    assert rendered.one("Deployment")["metadata"]["name"] == "fraud-scorer"


@pytest.mark.parametrize(
    ("cpu", "threads"), [(1, "1"), ("500m", "1"), ("2", "1"), ("3500m", "1"), (4, "2"), ("6.5", "3"), ("16000m", "8")]
)
def test_torch_has_half_of_the_cores_that_are_asked_for(helm: Helm, cpu: Any, threads: str) -> None:
    rendered = helm.render(VALUES / "claim.yaml", {"resources": {"requests": {"cpu": cpu}}})
    assert {"name": "OMP_NUM_THREADS", "value": threads} in rendered.worker["env"]


def test_torch_has_as_many_threads_as_are_named(helm: Helm) -> None:
    given = [one for one in helm.render(VALUES / "placed.yaml").worker["env"] if one["name"] == "OMP_NUM_THREADS"]
    assert given == [{"name": "OMP_NUM_THREADS", "value": "2"}]


def test_every_container_sees_the_variables_and_the_volumes_that_are_added(helm: Helm) -> None:
    volume = {"type": "download", "download": {"url": "s3://models"}}
    everything = {"topicsJob": {"enabled": True}, "modelVolume": volume, "config": {"model": {"repository": "/models"}}}
    rendered = helm.render(VALUES / "placed.yaml", everything)
    assert {one["name"] for one in rendered.containers()} == {"worker", "download", "topics", "test"}
    for container in rendered.containers():
        assert {"name": "AWS_REGION", "value": "eu-central-1"} in container["env"]
        assert mounts(container)["/etc/ssl/own"] == {"name": "trust", "mountPath": "/etc/ssl/own", "readOnly": True}
    for pod in rendered.pods():
        assert {"name": "trust", "configMap": {"name": "trust"}} in pod["volumes"]


def test_an_image_is_named_by_its_digest_or_by_the_app_s_version(helm: Helm) -> None:
    assert helm.render(VALUES / "claim.yaml").worker["image"] == f"stream-infer-kafka:{__version__}"
    assert helm.render(VALUES / "placed.yaml").worker["image"].startswith("registry.example:5000/scoring/")
    assert "@sha256:" in helm.render(VALUES / "placed.yaml").worker["image"]
