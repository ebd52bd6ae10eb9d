"""A person at the control topic, what the workers say of it, and events that keep coming at a fixed rate."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.checker.history import STABLE, VersionSaid, WorkerSaid
from tests.checker.laws import unanswered
from tests.checker.told import read_statuses
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import Crew, WorkerProcess
from tests.end_to_end.job import MODEL, WIDTH, Job

FLUSH_TIMEOUT_S = 60.0
READ_AT_ONCE = 1000
EVERY_S = 0.05
IN_STEP_TIMEOUT_S = 240.0


class Statuses:
    """The newest status of each worker; `refresh` reads what came since."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._lane = TopicPartition(topic, 0, 0)
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reads-statuses"})
        self._consumer.assign([self._lane])
        self._next = 0
        self.newest: dict[str, WorkerSaid] = {}

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def refresh(self) -> Self:
        """Read the topic to its end as of now."""
        _, end = self._consumer.get_watermark_offsets(self._lane, timeout=FLUSH_TIMEOUT_S)
        while self._next < end:
            messages = self._consumer.consume(READ_AT_ONCE, 1.0)
            self.newest.update({one.worker: one for one in read_statuses(messages)})
            self._next = max((int(one.offset() or 0) + 1 for one in messages), default=self._next)
        return self

    def of(self, worker: str, version: str) -> VersionSaid | None:
        """Return what a worker last said of a version, if anything."""
        said = self.newest.get(worker)
        return next((one for one in said.versions if one.version == version), None) if said else None


class Rollout:
    """One test's crew with names, its control topic, and waiting for what the workers say."""

    def __init__(self, job: Job, crew: Crew) -> None:
        self.job = job
        self.crew = crew
        self.statuses = Statuses(job.bootstrap_servers, job.status)
        self.names: dict[str, WorkerProcess] = {}
        self.revision = 0
        self._producer = Producer({"bootstrap.servers": job.bootstrap_servers, "enable.idempotence": True})

    def start(self, *names: str) -> None:
        """Start a worker for each name."""
        for name in names:
            self.names[name] = self.crew.start(env={"STREAM_INFER_WORKER_ID": name})

    def kill(self, name: str) -> None:
        """End a worker by SIGKILL."""
        self.crew.kill(self.names.pop(name))

    def ended(self, name: str) -> int:
        """Return the exit code of a worker that ends by itself."""
        worker = self.names.pop(name)
        self.crew.workers.remove(worker)
        return worker.wait(IN_STEP_TIMEOUT_S)

    def drain_all(self) -> None:
        """Drain every worker; each must end with 0."""
        for worker in self.names.values():
            self.crew.workers.remove(worker)
            worker.terminate()
        ended = {name: worker.wait() for name, worker in self.names.items()}
        self.names.clear()
        assert ended == dict.fromkeys(ended, 0), ended

    def tell(self, record: Mapping[str, Any] | bytes, *, key: str = MODEL) -> None:
        """Append a control record as it is, keyed by the model."""
        value = record if isinstance(record, bytes) else json.dumps(record).encode()
        self._producer.produce(self.job.control, value, key)
        assert self._producer.flush(FLUSH_TIMEOUT_S) == 0

    def tell_version(
        self, version: str, *, pinned: Mapping[str, str] | None = None, canary: Mapping[str, Any] | None = None
    ) -> None:
        """Append what a person types to roll a version; `pinned` is said of the version beside its name."""
        self.revision += 1
        told = {"model": MODEL, "revision": self.revision, "stable": {"version": version, **(pinned or {})}}
        self.tell({**told, "canary": canary} if canary else told)

    def until_serving(self, version: str, *, variant: str = STABLE) -> None:
        """Return when every worker says that it serves a version under the newest revision."""
        self.until(lambda: all(self.serves(name, version, variant) for name in self.names), f"{version} serves")

    def until_state(self, version: str, *states: str) -> None:
        """Return when every worker says that a version is in one of these states."""
        what = f"{version} is {' or '.join(states)} everywhere"
        self.until(lambda: all(self.state(name, version) in states for name in self.names), what)

    def until_any(self, version: str, *states: str) -> None:
        """Return when some worker says that a version is in one of these states."""
        what = f"{version} is {' or '.join(states)} somewhere"
        self.until(lambda: any(self.state(name, version) in states for name in self.names), what)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Return when a condition on the statuses, read anew each time, holds."""
        try:
            self.crew.until(
                lambda: bool(self.statuses.refresh()) and condition(), within_s=IN_STEP_TIMEOUT_S, what=what
            )
        except AssertionError as error:
            error.add_note(f"the workers said: {self.statuses.newest}")
            raise

    def until_more_answers(self, count: int) -> None:
        """Return when `count` more answers were given, and note what is committed."""
        self.crew.until_answered(self.crew.watch.answered() + count)
        self.crew.watch.observe()

    def serves(self, name: str, version: str, variant: str) -> bool:
        """Return whether a worker says that it serves a version under the newest revision."""
        said, worker = self.statuses.of(name, version), self.statuses.newest.get(name)
        is_newest = worker is not None and worker.applied_revision == self.revision
        return is_newest and said is not None and (said.state, said.variant) == ("ACTIVE", variant)

    def state(self, name: str, version: str) -> str | None:
        """Return what a worker says of a version."""
        said = self.statuses.of(name, version)
        return said.state if said else None

    def reasons(self, version: str) -> Sequence[str | None]:
        """Return why each worker says that a version failed."""
        return [said.reason if (said := self.statuses.of(name, version)) else None for name in self.names]


class Paced:
    """Sends events of increasing number at a fixed rate from a thread of its own; late ones are made up for."""

    def __init__(self, job: Job, *, per_second: int) -> None:
        self._topic = job.input
        self._per_second = per_second
        self._producer = Producer(
            {"bootstrap.servers": job.bootstrap_servers, "partitioner": "murmur2_random", "enable.idempotence": True}
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send events while the block runs; all are delivered afterwards."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()
        assert self._producer.flush(FLUSH_TIMEOUT_S) == 0

    def _run(self) -> None:
        started_s = time.monotonic()
        while not self._stopping.wait(EVERY_S):
            due = int((time.monotonic() - started_s) * self._per_second) - self.sent
            for one in make_events(due, width=WIDTH, seed=self.sent, first=self.sent):
                self._producer.produce(self._topic, one.value, one.key, timestamp=one.timestamp_ms)
            self._producer.poll(0)
            self.sent += due


@contextmanager
def rolling(job: Job, *workers: str, per_second: int) -> Iterator[Rollout]:
    """Give workers that serve what the settings name, under a load that flows while the block runs.

    Afterwards everything must be answered, every worker must drain and end with 0, and the laws must hold.
    """
    flow = Paced(job, per_second=per_second)
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        with closing(rollout.statuses):
            rollout.start(*workers)
            rollout.until_serving(job.baseline)
            with flow.running():
                rollout.until_more_answers(per_second // 4)
                yield rollout
                rollout.until_more_answers(per_second // 4)
            crew.until_done()
            rollout.drain_all()
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert len(history.events) == flow.sent
    assert not unanswered(history)
