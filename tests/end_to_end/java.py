"""Kafka's own console clients, from its `kafka-tools` jar."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from stream_infer.testing.kafka import java_command

PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
KEY_END = "\t"
# Nothing that a key or an Avro value of these tests holds.
FIELD_END = b"<|field|>"
RECORD_END = b"<|record|>"
TIMEOUT_S = 180
SILENCE_MS = 3_000
HEAP = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True, slots=True)
class Shown:
    """One record as the console consumer prints it."""

    partition: int
    key: bytes
    value: bytes


def console_produce(classpath: str, bootstrap_servers: str, topic: str, lines: Sequence[str]) -> None:
    """Send `key<tab>value` lines with Java's producer and its own partitioner; returns when all are delivered."""
    options = ("--bootstrap-server", bootstrap_servers, "--topic", topic)
    properties = ("--property", "parse.key=true", "--property", f"key.separator={KEY_END}")
    _run(classpath, PRODUCER, *options, *properties, given="".join(f"{line}\n" for line in lines).encode())


def console_consume(classpath: str, bootstrap_servers: str, topic: str, *, count: int) -> list[Shown]:
    """Read `count` records from the beginning of `topic` with Java's consumer; keys and values as their bytes."""
    options = ("--bootstrap-server", bootstrap_servers, "--topic", topic, "--from-beginning")
    ending = ("--max-messages", str(count), "--timeout-ms", str(TIMEOUT_S * 1000))
    shown = {
        "print.partition": "true",
        "print.key": "true",
        "key.separator": FIELD_END.decode(),
        "line.separator": RECORD_END.decode(),
    }
    properties = [word for name, value in shown.items() for word in ("--property", f"{name}={value}")]
    printed = _run(classpath, CONSUMER, *options, *ending, *properties)
    return [_shown(record) for record in printed.split(RECORD_END) if record]


def _shown(record: bytes) -> Shown:
    partition, key, value = record.split(FIELD_END, 2)
    return Shown(int(partition.removeprefix(b"Partition:")), key, value)


def _run(classpath: str, main_class: str, *args: str, given: bytes = b"") -> bytes:
    command = java_command(classpath, main_class, *args, options=HEAP)
    ended = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert ended.returncode == 0, ended.stderr.decode(errors="replace")
    return ended.stdout
