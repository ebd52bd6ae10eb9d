"""Rolls versions as an operator does: a record on the control topic, and what the workers say of it."""

import json
import time
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

MODEL = "default"
POLL_S = 0.02
ACTIVE_S = 120.0
FLUSH_S = 10.0


class Control:
    """One control topic and the newest status of each of `workers` workers."""

    def __init__(self, bootstrap_servers: str, *, control: str, status: str, workers: int) -> None:
        self._topic = control
        self._workers = workers
        self._newest: dict[str, Any] = {}
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reads-statuses"})
        self._consumer.assign([TopicPartition(status, 0, 0)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def tell(self, version: str, *, revision: int) -> None:
        """Append the record; it is in the topic on return."""
        record = {"model": MODEL, "revision": revision, "stable": {"version": version}}
        self._producer.produce(self._topic, json.dumps(record), MODEL)
        if self._producer.flush(FLUSH_S):
            raise SystemExit(f"revision {revision} could not be written to {self._topic}")

    def until_active(self, version: str, *, revision: int) -> dict[str, float]:
        """Return when every worker has said that it serves the version under the revision.

        What is returned is the state that the version was seen in first, and each later one, with the milliseconds
        since 1970 from which the first worker was in it.
        """
        entered: dict[str, float] = {}
        deadline_s = time.monotonic() + ACTIVE_S
        while sum(_serves(one, version, revision) for one in self._newest.values()) < self._workers:
            if time.monotonic() > deadline_s:
                raise SystemExit(f"version {version} was not ACTIVE within {ACTIVE_S:g} s: {self._newest}")
            message = self._consumer.poll(POLL_S)
            if message is not None and message.error() is None:
                said = json.loads(message.value() or b"{}")
                self._newest[said["worker"]] = said
                for state, since_ms in _states(said, version):
                    entered[state] = min(since_ms, entered.get(state, since_ms))
        return entered


def _states(said: Any, version: str) -> list[tuple[str, float]]:
    """Return the states in which a worker has the version."""
    found = [one for one in said["versions"] if one["version"] == version]
    return [(one["state"], datetime.fromisoformat(one["since"]).timestamp() * 1000) for one in found]


def _serves(said: Any, version: str, revision: int) -> bool:
    states = {one["version"]: one["state"] for one in said["versions"]}
    return said["applied_revision"] >= revision and states.get(version) == "ACTIVE"
