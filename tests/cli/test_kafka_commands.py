import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.registry import registry_process

CONTROL_OF_SOMEBODY = "expected 1: rollouts need one order."


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Done]


@pytest.fixture
def command(kafka: Cluster) -> Command:
    """Return a way to run `stream-infer` against the session's Kafka, as a user does."""

    def run(*arguments: str, lines: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "stream_infer", *arguments, "--bootstrap-servers", kafka.bootstrap_servers],
            input=lines,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def named(topics: Topics) -> list[str]:
    """Return settings that give every topic a name of this test's own."""
    roles = ("input", "output", "dead_letter", "control", "status", "retry")
    return [part for role in roles for part in ("--set", f"topics.{role}={topics.name(role)}")]


def name_of(role: str, named: list[str]) -> str:
    return next(part.partition("=")[2] for part in named if part.startswith(f"topics.{role}="))


def written_lines(count: int) -> str:
    events = ({"event_id": f"e{at}", "entity_id": f"c{at}", "features": [float(at)]} for at in range(count))
    return "".join(json.dumps(event) + "\n" for event in events)


def test_topics_are_made_once_and_then_told(command: Command, named: list[str]) -> None:
    first = command("topics", "create", "--partitions", "3", *named)
    again = command("topics", "create", *named)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert [line.split()[0] for line in first.out.splitlines()] == ["created"] * 6
    assert [line.split()[0] for line in again.out.splitlines()] == ["exists"] * 6
    assert f"{name_of('output', named)} (3 partitions)" in first.out
    assert f"{name_of('control', named)} (1 partition)" in first.out


def test_a_control_topic_that_is_set_wrongly_fails_and_is_explained(
    command: Command, named: list[str], topics: Topics
) -> None:
    shared = topics.create("control", partitions=2, cleanup_policy="compact")
    done = command("topics", "create", *named, "--set", f"topics.control={shared}")
    assert done.code == 1
    assert f"Topic {shared} has 2 partitions, {CONTROL_OF_SOMEBODY}" in done.err
    assert f"Topic {shared} has cleanup.policy=compact" in done.err
    assert f"created  {name_of('output', named)}" in done.out


def test_events_that_are_produced_are_consumed_as_they_were(command: Command, named: list[str]) -> None:
    command("topics", "create", *named)
    lines = written_lines(50)
    sent = command("produce", *named, lines=lines)
    assert sent.code == 0, sent.err
    assert sent.out == ""
    assert f"50 events delivered to {name_of('input', named)}" in sent.err
    read = command(
        "consume", *named, "--topic", name_of("input", named), "--from-beginning", "--max-messages", "50", "--metadata"
    )
    assert read.code == 0, read.err
    by_id = {line["value"]["event_id"]: line for line in read.lines}
    assert {key: line["value"]["features"] for key, line in by_id.items()} == {f"e{at}": [at] for at in range(50)}
    assert all(line["key"] == line["value"]["entity_id"] for line in read.lines)


def test_a_bad_line_is_named_and_those_before_it_are_delivered(
    command: Command, named: list[str], tmp_path: Path
) -> None:
    command("topics", "create", *named)
    file = tmp_path / "events.jsonl"
    file.write_text(written_lines(2) + '\n{"entity_id": "c", "features": ["x"]}\n' + written_lines(1), "utf-8")
    sent = command("produce", *named, "--input", str(file))
    assert sent.code == 1
    assert "2 events delivered" in sent.err
    assert f"Line 4 of {file} is no event: features[0] is 'x', expected a number." in sent.err


def test_a_rate_is_kept(command: Command, named: list[str]) -> None:
    command("topics", "create", *named)
    sent = command("produce", *named, "--rate", "20", lines=written_lines(11))
    seconds = float(sent.err.split(" in ")[-1].split()[0])
    assert seconds >= 0.5


def test_reading_stops_after_a_while_without_records(command: Command, named: list[str]) -> None:
    command("topics", "create", *named)
    done = command("consume", *named, "--from-beginning", "--timeout", "0.5")
    assert (done.code, done.out) == (0, ""), done.err


def test_a_topic_that_is_not_there_is_one_sentence(command: Command, named: list[str]) -> None:
    for arguments in (["consume"], ["produce"]):
        done = command(*arguments, *named)
        assert done.code == 1
        assert done.err.endswith("expected to be: run `stream-infer topics create`.\n")
        assert "Traceback" not in done.err


def test_dead_letters_show_their_bytes_and_headers(command: Command, named: list[str], kafka: Cluster) -> None:
    command("topics", "create", *named)
    dead_letter = name_of("dead_letter", named)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(dead_letter, b"\xff\xfe", b"k", headers=[("stream_infer.stage", b"decode")])
    assert producer.flush(30) == 0
    done = command("consume", *named, "--topic", dead_letter, "--from-beginning", "--max-messages", "1")
    (line,) = done.lines
    assert (line["key"], line["value_base64"]) == ("k", "//4=")
    assert line["headers"] == {"stream_infer.stage": "decode"}
    assert line["error"].startswith("the frame begins with ff fe")


def test_a_reader_that_has_enough_ends_the_command_quietly(command: Command, named: list[str], kafka: Cluster) -> None:
    command("topics", "create", *named)
    command("produce", *named, lines=written_lines(2000))
    topic = name_of("input", named)
    consume = f"{sys.executable} -m stream_infer consume --topic {topic} --from-beginning --timeout 20"
    done = subprocess.run(
        ["bash", "-c", f"{consume} --bootstrap-servers {kafka.bootstrap_servers} | head -n 1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_events_travel_under_a_registered_schema(command: Command, named: list[str]) -> None:
    with registry_process() as registry:
        confluent = [
            *named,
            "--set",
            "schemas.input_format=confluent",
            "--set",
            f"schema_registry.url={registry.url}",
        ]
        command("topics", "create", *confluent)
        unregistered = command("produce", *confluent, lines=written_lines(1))
        assert unregistered.code == 1
        assert "schema_registry.auto_register" in unregistered.err
        sent = command("produce", *confluent, "--set", "schema_registry.auto_register=true", lines=written_lines(3))
        assert sent.code == 0, sent.err
        topic = name_of("input", named)
        read = command("consume", *confluent, "--topic", topic, "--from-beginning", "--max-messages", "3")
        assert {line["event_id"] for line in read.lines} == {"e0", "e1", "e2"}, read.err
