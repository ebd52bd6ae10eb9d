"""No secret reaches a log, an error, a page or the status topic, whatever goes wrong and however much is logged."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from stream_infer.settings import effective, load_settings, load_with_origins
from stream_infer.testing.registry import registry_process
from tests.checker.reading import read_topic
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import SCRIPTS, WorkerProcess
from tests.end_to_end.job import WIDTH, Job, JobMaker

SASL, KEY, TOKEN, REGISTRY, STORE, SESSION, TRACKING = (f"mark-{number}/of:a@secret" for number in range(7))
MARKS = (SASL, KEY, TOKEN, REGISTRY, STORE, SESSION, TRACKING)
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": STORE,
    "AWS_SESSION_TOKEN": SESSION,
    "MLFLOW_TRACKING_URI": f"https://me:{quote(TRACKING, safe='')}@127.0.0.1:1",
}
WITHIN_S = 180.0


def seen(text: str) -> set[str]:
    """Return the marked secrets that a text holds, however they are spelt."""
    return {mark for mark in MARKS if any(spelling in text for spelling in spellings(mark))}


def spellings(mark: str) -> tuple[str, ...]:
    credentials = base64.b64encode(f"me:{mark}".encode()).decode()
    return mark, quote(mark), quote(mark, safe=""), json.dumps(mark)[1:-1], credentials


def secrets(folder: Path) -> dict[str, dict[str, Any]]:
    """Return settings that hold a mark wherever a secret can be."""
    key = folder / "key-password"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    kafka = {
        "properties": {"sasl.username": "me", "sasl.password": SASL, "debug": "all"},
        "property_files": {"ssl.key.password": str(key)},
        "producer_properties": {"sasl.oauthbearer.client.secret": TOKEN},
    }
    registry = {"properties": {"basic.auth.user.info": f"me:{REGISTRY}"}}
    return {"kafka": kafka, "schema_registry": registry, "log": {"level": "debug", "format": "json"}}


def with_secrets(job: Job, folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the marks into a job's settings, and then other changes."""
    settings = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    for given in (secrets(folder), changes):
        for section, values in given.items():
            old = settings.setdefault(section, {})
            for name, value in values.items():
                old[name] = {**old.get(name, {}), **value} if isinstance(value, dict) else value
    job.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


def page(worker: WorkerProcess, path: str) -> str:
    """Return what a worker answers, whatever the status."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port}{path}", timeout=WITHIN_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


def test_the_search_finds_what_the_settings_hold(tmp_path: Path) -> None:
    everything = yaml.safe_dump(secrets(tmp_path)) + (tmp_path / "key-password").read_text(encoding="utf-8")
    assert seen(everything + json.dumps(ENVIRONMENT)) == set(MARKS)
    header = base64.b64encode(f"me:{REGISTRY}".encode()).decode()
    assert seen(f"Authorization: Basic {header}") == {REGISTRY}


def test_a_worker_that_scores_tells_nothing(make_job: JobMaker, tmp_path: Path) -> None:
    job = make_job()
    with registry_process() as registry, job.crew() as crew:
        changes = {"schema_registry": {"url": registry.url, "auto_register": True}}
        with_secrets(job, tmp_path, {**changes, "schemas": {"output_format": "confluent"}})
        job.send(make_events(200, width=WIDTH))
        worker = crew.start(env=ENVIRONMENT)
        crew.until_done()
        pages = [page(worker, path) for path in ("/health", "/ready", "/models", "/metrics")]
        assert crew.drain(worker) == 0
    said = [str(one.value()) for one in read_topic(job.bootstrap_servers, job.status)]
    assert "librdkafka" in worker.log_text(), "expected the most talkative level"
    assert seen("\n".join([worker.log_text(), *pages, *said])) == set()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("broker", "no broker answered within"),
        ("login", "no broker answered within"),
        ("registry", "is away"),
        ("repository", "cannot be read for now"),
    ],
    ids=["broker", "login", "registry", "repository"],
)
def test_a_worker_that_meets_a_fault_tells_nothing(
    make_job: JobMaker, tmp_path: Path, nowhere: str, fault: str, says: str
) -> None:
    job = make_job()
    with_secrets(job, tmp_path, faults(nowhere)[fault])
    if fault == "registry":
        remove(job, "schema_registry", "properties")
    with job.crew() as crew:
        worker = crew.start(env=ENVIRONMENT)
        crew.until(lambda: says in worker.log_text(), what=says)
        worker.terminate()
        worker.wait()
    assert seen(worker.log_text()) == set()


def faults(away: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return settings with which something fails; nobody listens at `away`."""
    login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    registry = f"http://me:{quote(REGISTRY, safe='')}@{away}"
    return {
        "broker": {"kafka": {"bootstrap_servers": away, "startup_timeout_s": 3}},
        "login": {"kafka": {"properties": login, "startup_timeout_s": 3}},
        "registry": {"schema_registry": {"url": registry}, "schemas": {"output_format": "confluent"}},
        "repository": {"model": {"repository": f"http://{away}/models", "version": "1"}},
    }


def remove(job: Job, section: str, name: str) -> None:
    """Take one setting out of a job's settings."""
    settings = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    del settings[section][name]
    job.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


URL = "http://me:mark-3@secret@registry:8081"


@pytest.mark.parametrize(
    "words",
    [
        ("config",),
        ("config", "--set", f"kafka.properties.sasl.password:{SASL}"),
        ("config", "--set", f"kafka.sasl.password={SASL}"),
        ("topics", "create"),
        ("topics", "create", "--set", "kafka.properties.security.protocol=SSL"),
        ("topics", "create", "--set", f"kafka.properties.ssl.key.pem={KEY}"),
        ("topics", "create", "--set", f"kafka.properties.sasl.oauthbearer.config={TOKEN}"),
    ],
    ids=["shown", "no equals sign", "no such setting", "no broker", "no certificate", "no key", "no properties"],
)
def test_a_command_tells_nothing(tmp_path: Path, nowhere: str, words: Sequence[str]) -> None:
    settings = secrets(tmp_path)
    settings["kafka"] |= {"bootstrap_servers": nowhere, "startup_timeout_s": 2}
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [str(SCRIPTS / "stream-infer"), *words, "--config", str(config)]
    around = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=around, timeout=WITHIN_S)
    assert done.returncode == 0 if words == ("config",) else done.returncode != 0
    assert done.stdout + done.stderr
    assert seen(done.stdout + done.stderr) == set()


@pytest.mark.parametrize("shown", ["schema_registry.url", "model.repository"])
def test_the_settings_are_shown_without_who_may_ask(shown: str) -> None:
    (row,) = (row for row in effective(load_with_origins(None, [f"{shown}={URL}"], {})) if row.name == shown)
    assert row.text == '"http://[hidden]@registry:8081"'


def test_a_settings_object_that_is_printed_shows_no_property(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(secrets(tmp_path)), encoding="utf-8")
    settings = load_settings(config, [], {})
    assert seen(f"{settings} {settings!r} {settings.kafka!r}") == set()
    assert seen(str(settings.model_dump())) == {SASL, TOKEN, REGISTRY}
