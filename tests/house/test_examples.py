import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.kafka.properties import free_port
from tests.house.source import ROOT
from tests.house.test_documents import RUNNERS, blocks

FRAUD = ROOT / "examples" / "fraud"
RUN = blocks((FRAUD / "README.md").read_text(encoding="utf-8"))


def run(code: str, *, language: str, folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run a block in a copy of the example and return its standard output; raises AssertionError unless it exits 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [*RUNNERS[language], code],
        cwd=folder,
        env={**os.environ, "PATH": path, **(extra or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, f"{code}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def fraud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example in which the blocks that need no broker were run, so its model is packaged."""
    folder = tmp_path_factory.mktemp("example") / "fraud"
    shutil.copytree(FRAUD, folder, ignore=shutil.ignore_patterns("models", "model.pt2", "golden.jsonl"))
    for block in RUN:
        if "kafka" not in block.tags:
            run(block.code, language=block.language, folder=folder)
    return folder


def test_the_model_of_the_example_is_packaged_and_verified(fraud: Path) -> None:
    assert (fraud / "models" / "fraud" / "1" / "model.yaml").is_file()


def test_the_settings_of_the_example_load(fraud: Path) -> None:
    shown = run("stream-infer config --config stream-infer.yaml", language="sh", folder=fraud)
    assert 'entity_id: "card.number_hash"' in shown


def test_the_example_scores_a_topic_with_other_field_names_dotted_paths_and_nulls(
    fraud: Path, kafka: Cluster, topics: Topics
) -> None:
    roles = ("input", "output", "dead_letter", "control", "status", "retry")
    own = {f"STREAM_INFER_TOPICS__{role.upper()}": topics.name(role) for role in roles}
    own |= {
        "STREAM_INFER_APPLICATION_ID": topics.name("app"),
        "STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "STREAM_INFER_WEB__PORT": str(free_port()),
    }
    (block,) = (block for block in RUN if "kafka" in block.tags)
    lines = run(block.code, language=block.language, folder=fraud, extra=own).splitlines()
    answers = {answer["event_id"]: answer for answer in map(json.loads, lines)}
    events = [json.loads(line) for line in (FRAUD / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {name: answer["label"] for name, answer in answers.items()} == {
        event["id"]: "fraud" if event["id"] == "t2" else "legit" for event in events
    }
    for event in events:
        answer = answers[event["id"]]
        assert (answer["entity_id"], answer["amount"], answer["currency"]) == (
            event["card"]["number_hash"],
            event["amount"],
            event["currency"],
        )
        assert answer["event_time"][:19] == event["made_at"][:19]
