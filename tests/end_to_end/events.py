"""Events for the worker: made from a seed, framed by fastavro, sent fast by confluent-kafka alone."""

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import numpy as np
from confluent_kafka import Producer
from fastavro.schema import parse_schema

from tests.checker.reading import AvroReader

SCHEMAS = Path(__file__).parents[2] / "schemas"
FIRST_TIME_MS = 1_700_000_000_000
FLUSH_TIMEOUT_S = 60


class Sent(NamedTuple):
    """One record to send; without `partition` the producer's partitioner decides, by Java's murmur2."""

    value: bytes | None
    key: bytes | None = None
    timestamp_ms: int = FIRST_TIME_MS
    partition: int = -1
    headers: list[tuple[str, str | bytes | None]] | None = None


def schema(name: str) -> Mapping[str, Any]:
    """Return a schema of the project, as JSON reads it."""
    read: Mapping[str, Any] = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
    return read


EVENT = AvroReader(schema("feature_event"))
PREDICTION = AvroReader(schema("prediction"))


def encode(record: Mapping[str, Any], reader: AvroReader = EVENT) -> bytes:
    """Return one value as single-object Avro, or raw where `reader` says so."""
    stream = BytesIO()
    stream.write(reader.frame if reader.framed else b"")
    fastavro.schemaless_writer(stream, parse_schema(dict(reader.schema)), dict(record))
    return stream.getvalue()


def make_events(count: int, *, width: int, seed: int = 1, first: int = 0) -> list[Sent]:
    """Return events `first` to `first + count - 1`, of a thousand entities; every 16th has no key."""
    parsed, frame = parse_schema(dict(EVENT.schema)), EVENT.frame
    rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32).tolist()
    made = []
    for number, features in enumerate(rows, start=first):
        stream = BytesIO()
        stream.write(frame)
        fastavro.schemaless_writer(stream, parsed, _record(number, features))
        key = None if number % 16 == 0 else _entity(number).encode()
        made.append(Sent(stream.getvalue(), key, FIRST_TIME_MS + number))
    return made


def _record(number: int, features: list[float]) -> dict[str, Any]:
    # A time in microseconds as a plain number: fastavro takes it as it is.
    time_us = (FIRST_TIME_MS + number) * 1000
    return {"event_id": f"e{number}", "entity_id": _entity(number), "event_time": time_us, "features": features}


def _entity(number: int) -> str:
    return f"entity-{number % 1009}"


def send(bootstrap_servers: str, topic: str, records: Iterable[Sent]) -> None:
    """Send records and return when all are delivered; raises AssertionError when one was not."""
    failed: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "message.max.bytes": 10_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _message: failed.append(str(error)),
        }
    )
    for one in records:
        producer.produce(
            topic, one.value, one.key, one.partition, timestamp=one.timestamp_ms, headers=one.headers or []
        )
    assert producer.flush(FLUSH_TIMEOUT_S) == 0
    assert failed == []
