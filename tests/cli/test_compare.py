"""`stream-infer compare` against a real Kafka."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from stream_infer.avro import AvroSchema, load_schema
from stream_infer.avro.framing import single_object_frame
from stream_infer.cli.event_writer import EventWriter
from stream_infer.settings import SchemaFields, load_settings
from stream_infer.testing.clock import HandClock
from stream_infer.testing.kafka import Cluster, Topics
from tests.cli.running import Done, begin

WITHIN_S = 30.0


@pytest.fixture
def prediction() -> AvroSchema:
    """Return the schema of predictions."""
    return load_schema(load_settings(None, [], {}).schemas.output)


def answers(schema: AvroSchema, labels: Iterable[str], *, version: str, first: int = 0) -> list[bytes]:
    """Return a prediction for each label, of the events from offset `first` on."""
    writer = EventWriter(
        schema,
        frame=single_object_frame(schema.fingerprint),
        key_field=None,
        fields=SchemaFields(),
        clock=HandClock(),
    )
    return [
        writer.event(json.dumps(_answer(label, version=version, offset=offset))).value
        for offset, label in enumerate(labels, first)
    ]


def _answer(label: str, *, version: str, offset: int) -> dict[str, Any]:
    winning = ("legit", "fraud").index(label)
    return {
        "model_name": "default",
        "model_version": version,
        "model_digest": "0" * 64,
        "revision": 1,
        "variant": "stable",
        "prediction": winning,
        "label": label,
        "confidence": 0.75,
        "scores": [0.25, 0.75] if winning else [0.75, 0.25],
        "source_topic": "feature-events",
        "source_partition": 0,
        "source_offset": offset,
        "inferred_at": 0,
    }


def send(kafka: Cluster, topic: str, values: Sequence[bytes]) -> None:
    """Write values in one transaction, as a worker under exactly_once_v2 does, and as many that are aborted."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic})
    producer.init_transactions(WITHIN_S)
    for finish in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for number, value in enumerate(values):
            producer.produce(topic, value, str(number).encode())
        producer.flush(WITHIN_S)
        finish(WITHIN_S)


def compare(kafka: Cluster, folder: Path, *words: str, ends: int = 0) -> Done:
    """Run `stream-infer compare` to its end."""
    done = begin(("compare", "--bootstrap-servers", kafka.bootstrap_servers, *words), folder=folder).end()
    assert done.code == ends, done.err
    return done


def test_two_releases_are_compared_by_the_events_that_they_answered(
    kafka: Cluster, topics: Topics, prediction: AvroSchema, tmp_path: Path
) -> None:
    a, b = topics.create("predictions", 3), topics.create("predictions-next", 2)
    send(kafka, a, answers(prediction, ["legit"] * 8 + ["fraud"] * 4, version="1"))
    send(kafka, b, answers(prediction, ["legit"] * 6 + ["fraud"] * 4, version="2", first=2))
    told = json.loads(compare(kafka, tmp_path, "--a", a, "--b", b, "--json").out)
    assert (told["compared"], told["only_a"], told["only_b"], told["agreeing"]) == (10, 2, 0, 10)
    assert [(one["version"], one["count"]) for one in told["versions_b"]] == [("2", 10)]
    shown = compare(kafka, tmp_path, "--a", a, "--b", b).out
    assert f"10 events are answered in both, 2 in {a} alone, 0 in {b} alone" in shown
    assert "the same prediction: 10 of 10 (100.00%)" in shown


def test_what_changed_is_counted_by_its_labels(
    kafka: Cluster, topics: Topics, prediction: AvroSchema, tmp_path: Path
) -> None:
    a, b = topics.create("predictions", 1), topics.create("predictions-next", 1)
    send(kafka, a, answers(prediction, ["legit", "legit", "fraud"], version="1"))
    send(kafka, b, answers(prediction, ["fraud", "fraud", "fraud"], version="2"))
    told = json.loads(compare(kafka, tmp_path, "--a", a, "--b", b, "--json").out)
    assert told["changes"] == [{"a": "legit", "b": "fraud", "count": 2}]
    assert told["largest_difference"] == 0.5


def test_empty_topics_and_a_limit_come_to_an_end(
    kafka: Cluster, topics: Topics, prediction: AvroSchema, tmp_path: Path
) -> None:
    a, b = topics.create("predictions", 2), topics.create("predictions-next", 2)
    send(kafka, a, answers(prediction, ["legit"] * 5, version="1"))
    told = json.loads(compare(kafka, tmp_path, "--a", a, "--b", b, "--max-messages", "3", "--json").out)
    assert (told["compared"], told["only_a"], told["only_b"]) == (0, 3, 0)


def test_what_is_no_prediction_is_named(kafka: Cluster, topics: Topics, tmp_path: Path) -> None:
    a, b = topics.create("predictions", 1), topics.create("predictions-next", 1)
    send(kafka, a, [b"hello"])
    done = compare(kafka, tmp_path, "--a", a, "--b", b, ends=1)
    assert f"{a}[0] at offset 2 is no prediction" in done.err


def test_a_topic_that_is_not_there_is_named(kafka: Cluster, topics: Topics, tmp_path: Path) -> None:
    a, b = topics.create("predictions", 1), topics.name("predictions-next")
    assert f"Topic {b} is not on" in compare(kafka, tmp_path, "--a", a, "--b", b, ends=1).err
