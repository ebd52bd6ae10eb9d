"""Events that keep coming at a rate, some of them poison when a fault says so."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.end_to_end.events import encode, make_events
from tests.end_to_end.job import WIDTH, Job

EVERY_S = 0.05
FLUSH_TIMEOUT_S = 120.0
AT_ONCE = 2_000
NAN = float("nan")


class Flow:
    """Sends from a thread of its own; what the brokers do not take yet waits in the client."""

    def __init__(self, job: Job, *, rate: int, rng: random.Random) -> None:
        self._topic = job.input
        self._rate = rate
        self._rng = random.Random(rng.random())
        self._producer = Producer(
            {
                "bootstrap.servers": job.bootstrap_servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 20,
                "queue.buffering.max.messages": 1_000_000,
                "delivery.report.only.error": True,
                "on_delivery": lambda error, _message: self._failed.append(str(error)),
                "log_level": 0,
            }
        )
        self._failed: list[str] = []
        self._poison = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send while the block runs, or until `end`."""
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()

    def end(self) -> None:
        """Send no more; everything is delivered on return."""
        self._ending.set()
        self._thread.join()
        if self._producer.flush(FLUSH_TIMEOUT_S) or self._failed:
            raise RuntimeError(f"events could not be delivered: {self._failed[:3]}")

    def poison(self, records: int) -> None:
        """Send so many records that nobody can score among the next ones."""
        self._poison += records

    def _run(self) -> None:
        began_s = time.monotonic()
        while not self._ending.wait(EVERY_S):
            due = min(int((time.monotonic() - began_s) * self._rate) - self.sent, AT_ONCE)
            for one in make_events(due, width=WIDTH, seed=self.sent, first=self.sent):
                self._produce(one.value, one.key)
                if self._poison and self._rng.random() < 0.2:
                    self._poison -= 1
                    self._produce(self._bad(), one.key)
            self.sent += due
            self._producer.poll(0)

    def _produce(self, value: bytes | None, key: bytes | None) -> None:
        try:
            self._producer.produce(self._topic, value, key)
        except BufferError:
            self._producer.poll(EVERY_S)
            self._produce(value, key)

    def _bad(self) -> bytes | None:
        features = self._rng.choice([[1.0], [NAN] * WIDTH, []])
        event = {"event_id": "bad", "entity_id": "bad", "event_time": 0, "features": features}
        return self._rng.choice([None, b"nonsense", b"\xc3\x01", encode(event)])
