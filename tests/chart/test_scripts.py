"""The scripts that pods of the chart run do what the chart says, on a real Kafka where they talk to one."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.models import write_mlp
from tests.chart.rendering import CHART, SETS, Helm
from tests.end_to_end.harness import SCRIPTS, environment
from tests.end_to_end.job import WIDTH, Job, JobMaker

pytestmark = [pytest.mark.chart, pytest.mark.timeout(600)]

DOWNLOAD, SCORE = CHART / "files" / "download.py", CHART / "files" / "score_one_event.py"
EVENT = {"entity_id": "c-1", "features": [0.5] * WIDTH}


def run(script: Path, *arguments: str, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Return how a script ended that was given to Python as the chart does it."""
    env = {**(environment(config) if config else os.environ), "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", script.read_text(encoding="utf-8"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)


def test_a_repository_is_copied_as_it_is(tmp_path: Path) -> None:
    made = write_mlp(tmp_path / "source" / "models", sizes=[WIDTH, 4, 2])
    target = tmp_path / "target"
    ended = run(DOWNLOAD, (tmp_path / "source" / "models").as_uri(), str(target))
    assert ended.returncode == 0, ended.stderr
    names = sorted(path.relative_to(made.path) for path in made.path.rglob("*") if path.is_file())
    assert ended.stdout.startswith(f"{len(names)} files copied from ")
    for name in names:
        assert (target / "default" / "1" / name).read_bytes() == (made.path / name).read_bytes()


def test_a_second_copy_over_a_broken_one_is_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, content in ((source, "whole"), (target, "wh")):
        folder.mkdir()
        (folder / "model.yaml").write_text(content)
    assert run(DOWNLOAD, source.as_uri(), str(target)).returncode == 0
    assert (target / "model.yaml").read_text() == "whole"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///no/such/folder", "where there are no files, expected a repository of models"),
        ("nosuch://models", "which cannot be copied: Protocol not known: nosuch"),
    ],
)
def test_a_url_without_models_is_told_by_its_name(tmp_path: Path, url: str, sentence: str) -> None:
    ended = run(DOWNLOAD, url, str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"modelVolume.download.url is {url}, {sentence}"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://{}127.0.0.1:1/models", "which cannot be copied: [Errno 111] Connection refused"),
        ("http://{}127.0.0.1:1/models", "where there are no files, expected a repository of models"),
        # Errors that repeat the URL, or the password alone, or that are about the URL itself.
        (
            "zip://models::http://{}127.0.0.1:1/models.zip",
            "which cannot be copied: http://[hidden]@127.0.0.1:1/models.zip",
        ),
        ("hunter2://{}store/models", "which cannot be copied: Protocol not known: [hidden]"),
        ("http://{}[::1/models", "which cannot be copied: Invalid IPv6 URL"),
    ],
)
def test_a_url_is_told_without_its_user_and_password(tmp_path: Path, url: str, sentence: str) -> None:
    ended = run(DOWNLOAD, url.format("me:hunter%32@"), str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"modelVolume.download.url is {url.format('[hidden]@')}, {sentence}"


def rendered_arguments(helm: Helm, event: dict[str, Any], url: str) -> list[str]:
    """Return what the chart gives its test, with another address and less time."""
    pod = helm.render(SETS[0].with_name("claim.yaml"), {"test": {"event": event, "timeoutSeconds": 90}}).one("Pod")
    _, _, *arguments = pod["spec"]["containers"][0]["args"]
    return [url, *arguments]


@contextmanager
def ready_worker(job: Job) -> Iterator[str]:
    """Yield the address at which a worker says that it is ready, which it is."""
    with job.crew() as crew:
        url = f"http://127.0.0.1:{crew.start().web_port}/ready"
        crew.until(lambda: is_ready(url), within_s=200, what="the worker is ready")
        yield url


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def job(kafka: Cluster, topics: Topics, tmp_path: Path) -> Job:
    return JobMaker(kafka.bootstrap_servers, topics, tmp_path, tmp_path / "cache")(partitions=2)


def test_the_chart_s_test_sends_an_event_and_sees_its_prediction(helm: Helm, job: Job) -> None:
    with ready_worker(job) as url:
        ended = run(SCORE, *rendered_arguments(helm, EVENT, url), config=job.config)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    answer = json.loads(ended.stdout.splitlines()[-1])
    assert answer["event_id"].startswith("helm-test-")
    assert answer["entity_id"] == "c-1"
    assert answer["model_version"] == "1"


def test_an_event_that_the_model_refuses_fails_the_chart_s_test(helm: Helm, job: Job) -> None:
    with ready_worker(job) as url:
        *arguments, _ = rendered_arguments(helm, {**EVENT, "features": [1.0]}, url)
        ended = run(SCORE, *arguments, "40", config=job.config)
    assert ended.returncode == 1
    assert "came in time, expected one: look into the dead-letter topic" in ended.stderr


def test_the_chart_s_test_without_a_worker_says_so(helm: Helm) -> None:
    *arguments, _ = rendered_arguments(helm, {}, "http://127.0.0.1:1/ready")
    ended = run(SCORE, *arguments, "0")
    assert ended.returncode == 1
    assert ended.stderr.strip() == "no worker was ready within 0 s"


def test_the_settings_of_the_chart_make_the_topics_that_they_name(
    helm: Helm, kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    roles = ("input", "output", "dead_letter", "control", "status", "retry")
    named = {role: topics.name(role) for role in roles}
    config = {"kafka": {"bootstrap_servers": kafka.bootstrap_servers}, "topics": {**named, "input": [named["input"]]}}
    rendered = helm.render(
        SETS[0].with_name("claim.yaml"),
        {"config": config, "topicsJob": {"enabled": True, "partitions": 3, "replicationFactor": 1}},
    )
    file = tmp_path / "stream-infer.yaml"
    data = [one["data"] for one in rendered.of("ConfigMap") if one["metadata"]["name"].endswith("-topics")]
    file.write_text(data[0]["stream-infer.yaml"], encoding="utf-8")
    (container,) = rendered.one("Job")["spec"]["template"]["spec"]["containers"]
    command = [str(SCRIPTS / "stream-infer"), *container["args"]]
    ended = subprocess.run(command, env=environment(file), capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"created  {named['input']} (3 partitions)" in ended.stdout.splitlines()
    assert f"created  {named['control']} (1 partition)" in ended.stdout.splitlines()
