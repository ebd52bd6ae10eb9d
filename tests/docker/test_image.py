"""The image: built without a registry, run without rights, drained."""

import json
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.kafka.properties import free_port
from tests.checker.laws import unanswered
from tests.docker.conftest import VERSION
from tests.docker.daemon import docker
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import Crew
from tests.end_to_end.job import WIDTH, Job, JobMaker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

EVENTS = 5_000
WITHIN_S = 120.0
LOCKED_DOWN = ("--network=host", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
OFTEN = ("--health-interval=1s", "--health-timeout=3s", "--health-retries=2", "--health-start-period=60s")
BUILD_TOOLS = ("gcc", "cc", "make", "git", "pip", "pip3", "curl", "wget")


@contextmanager
def container(image: str, job: Job, folder: Path) -> Iterator[str]:
    """Run a worker of the image for a job, as somebody without rights and with nothing but /tmp to write to."""
    environment = {
        "STREAM_INFER_CONFIG": job.config,
        "STREAM_INFER_WEB__PORT": free_port(),
        "STREAM_INFER_MODEL__CACHE_DIRECTORY": "/tmp/cache",
    }
    given = [f"--env={name}={value}" for name, value in environment.items()]
    name = docker("run", "--detach", *LOCKED_DOWN, *OFTEN, *given, f"--volume={folder}:{folder}:ro", image)
    try:
        yield name
    except AssertionError as error:
        said = subprocess.run(["docker", "logs", "--tail=40", name], capture_output=True, text=True, check=False)
        error.add_note(said.stdout + said.stderr)
        raise
    finally:
        docker("rm", "--force", name)


def health(name: str) -> str:
    return docker("inspect", "--format={{.State.Health.Status}}", name)


def until_health(crew: Crew, name: str, wanted: str) -> None:
    crew.until(lambda: health(name) == wanted, within_s=WITHIN_S, what=f"a container that is {wanted}")


def send_signal(name: str, number: signal.Signals) -> None:
    """Send a signal to the worker itself, which is a child of the container's first process."""
    for line in docker("top", name, "-eo", "pid,args").splitlines()[1:]:
        if "tini" not in line:
            os.kill(int(line.split()[0]), number)


def test_a_topic_is_scored_without_rights_the_health_check_turns_and_stopping_drains(
    image: str, kafka: Cluster, topics: Topics, shared: Path
) -> None:
    job = JobMaker(kafka.bootstrap_servers, topics, shared, shared)()
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew, container(image, job, shared) as name:
        crew.until_done(within_s=WITHIN_S)
        until_health(crew, name, "healthy")
        send_signal(name, signal.SIGSTOP)
        until_health(crew, name, "unhealthy")
        send_signal(name, signal.SIGCONT)
        until_health(crew, name, "healthy")
        job.send(make_events(EVENTS, width=WIDTH, first=EVENTS))
        crew.until_answered(EVENTS + 1, within_s=WITHIN_S)
        docker("stop", "--timeout=60", name)
        assert docker("inspect", "--format={{.State.ExitCode}}", name) == "0"
        answered, committed = crew.watch.answered(), 2 * EVENTS - crew.watch.waiting()
        assert answered == committed > EVENTS
        # Whoever comes next goes on where it stopped.
        with container(image, job, shared):
            crew.until_done(within_s=WITHIN_S)
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []


def test_the_image_says_what_it_is_and_runs_as_nobody(image: str) -> None:
    config = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["tini", "--", "stream-infer"]
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert {"org.opencontainers.image.title", "org.opencontainers.image.licenses"} <= set(config["Labels"])
    assert config["StopSignal"] == "SIGTERM"
    size = int(docker("image", "inspect", "--format={{.Size}}", image))
    print(f"the image has {size / 1e6:,.0f} MB")


def test_the_extension_is_in_it(image: str) -> None:
    asked = "from stream_infer.transport.extension import WHY_NOT; print(WHY_NOT)"
    assert docker("run", "--rm", "--network=none", "--entrypoint=python3", image, "-c", asked) == "None"


def test_nothing_that_builds_is_left_in_it(image: str) -> None:
    asked = "; ".join(f"command -v {tool}" for tool in BUILD_TOOLS)
    assert docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", f"{asked}; true") == ""
    left = docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", "ls -d /source /wheels || true")
    assert left == ""


def test_a_word_that_is_wrong_is_refused_as_anywhere(image: str) -> None:
    words = ["config", "--set", "batching.max_batch_size=0"]
    command = ["docker", "run", "--rm", "--network=none", *LOCKED_DOWN[1:], image, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "batching.max_batch_size" in done.stderr


def hadolint(dockerfile: Path) -> list[str]:
    """Return what hadolint has to say of a Dockerfile, a line each."""
    found = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert found, "there is no hadolint here: expected the extra docker to be installed"
    done = subprocess.run([found, str(dockerfile)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def test_the_dockerfile_is_sound() -> None:
    assert hadolint(Path(__file__).parents[2] / "Dockerfile") == []


def test_a_dockerfile_that_is_not_is_found(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN apt-get install curl\n", encoding="utf-8")
    assert hadolint(tmp_path / "Dockerfile")
