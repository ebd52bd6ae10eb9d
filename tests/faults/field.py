"""Where the faults happen: brokers, workers that are started again when they end, events that keep coming."""

import random
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_infer.testing.kafka import Topics
from tests.checker.bounds import Ends, Shutdown
from tests.checker.history import Partition
from tests.end_to_end.harness import WORKER, WorkerProcess
from tests.end_to_end.job import Job, JobMaker, Settings
from tests.faults.brokers import Brokers
from tests.faults.flow import Flow
from tests.faults.worker import POINTS

PARTITIONS = 8
WORKERS = 2
SESSION_S = 6.0
TRANSACTION_S = 4.0
LOOK_S = 0.2
SAMPLE_S = 1.0
ANSWER_S = 5.0
ANSWERED = re.compile(rb"^stream_infer_predictions_produced_total (\S+)$", re.MULTILINE)
CRITICAL = '"level": "critical"'
STUCK_S = 180.0
EXIT_S = 45.0
Committed = Mapping[int, int]


class StuckError(Exception):
    """Something did not come about in time; the text says what."""


class NotDoneError(Exception):
    """A fault found nothing to harm, or something else came first; the text says what. It is not counted."""


@dataclass(slots=True)
class Slot:
    """One worker, started again under the same id whenever it ends; `point` is where it can be told to end itself."""

    name: str
    process: WorkerProcess
    point: str | None
    exits: list[int] = field(default_factory=list)

    def is_at_work(self) -> bool:
        """Whether this process has answered records since its start, and the answers stay."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.process.web_port}/metrics", timeout=ANSWER_S) as page:
                found = ANSWERED.search(page.read())
        except OSError:
            return False
        return found is not None and float(found[1]) > 0


class Field:
    """Everything a fault can touch. Used by one thread."""

    def __init__(self, brokers: Brokers | None, job: Job, flow: Flow, rng: random.Random, *, folder: Path) -> None:
        self._brokers = brokers
        self.job = job
        self.flow = flow
        self.rng = rng
        self.revision = 0
        self.slots: dict[str, Slot] = {}
        self.wrong_exits: list[str] = []
        self.own_ends: list[int] = []
        self._folder = folder
        self._stack = ExitStack()
        self._names = 0
        self._starts = 0
        self._asker = self._consumer("read_uncommitted")
        self._stable = self._consumer("read_committed")
        self._outages = 0
        self._sampled_s = 0.0
        self.samples: dict[Partition, list[Ends]] = {}
        self.shutdowns: list[Shutdown] = []

    @property
    def brokers(self) -> Brokers:
        """The brokers, where they are ours to harm."""
        if self._brokers is None:
            raise RuntimeError("these brokers belong to others")
        return self._brokers

    def close(self) -> None:
        """Kill every worker."""
        self._stack.close()
        self._asker.close()
        self._stable.close()

    def add(self, *, count: int = 1) -> None:
        """Start workers under names that nobody had."""
        for _ in range(count):
            self._names += 1
            name = f"worker-{self._names}"
            point = POINTS[self._names % len(POINTS)]
            self.slots[name] = Slot(name, self._start(name, point), point)

    def any_slot(self) -> Slot:
        """Return one of the workers that score, as soon as there is one: what still starts is no victim."""
        found: list[Slot] = []

        def look() -> bool:
            found.extend(self.slots[name] for name in sorted(self.slots) if self.slots[name].is_at_work())
            return bool(found)

        self.until(look, what="a worker scores")
        return self.rng.choice(found)

    def restart(self, slot: Slot, point: str | None = None) -> None:
        """Start a worker again that has ended; it can be told to end itself at `point`, at any one without it."""
        slot.point = point or self.rng.choice(POINTS)
        slot.process = self._start(slot.name, slot.point)

    def leave(self, slot: Slot) -> None:
        """Drain a worker and let it go for good; it must end with 0 in time."""
        del self.slots[slot.name]
        slot.process.terminate()
        began_s = time.monotonic()
        code = self._wait_exit(slot)
        self.shutdowns.append(Shutdown(slot.name, max(code, 0), time.monotonic() - began_s))
        # Python itself answers the signal before the worker is there to do it.
        if code != 0 and not (code == -signal.SIGTERM and not slot.process.log_text()):
            self.wrong_exits.append(f"{slot.name} ended with {code} after SIGTERM: {slot.process.log_tail()}")

    def drop(self, slot: Slot) -> None:
        """Kill a worker and let it go for good."""
        slot.process.kill()
        del self.slots[slot.name]

    def ask_what_runs(self) -> None:
        """Let every worker write into its log where its threads are: Faust does so on SIGUSR1."""
        for slot in self.slots.values():
            slot.process.process.send_signal(signal.SIGUSR1)
        self.pause(ANSWER_S)

    def tend(self) -> None:
        """Start workers again that ended by themselves, as whatever runs them would."""
        for slot in self.slots.values():
            if not slot.process.is_running():
                code = slot.process.wait()
                slot.exits.append(code)
                if code != -signal.SIGKILL:
                    self.own_ends.append(code)
                    why = _last_words(slot.process.log_text())
                    print(f"  {slot.name} ended by itself with {code}: {why}", file=sys.stderr, flush=True)
                self.restart(slot)

    def until(self, condition: Callable[[], bool], *, what: str, within_s: float = STUCK_S) -> float:
        """Wait for a condition, tending the workers; return how many seconds it took."""
        began_s = time.monotonic()
        while not condition():
            if time.monotonic() - began_s > within_s:
                raise StuckError(f"not within {within_s:g} s: {what}")
            self.tend()
            self.sample()
            self.pause(LOOK_S)
        return time.monotonic() - began_s

    def pause(self, seconds: float) -> None:
        """Let time pass for the faults to have an effect."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._asker.poll(min(left_s, 1.0))

    def sample(self) -> None:
        """Note how far answers are written and how far they can be read, every second; an outage begins anew."""
        now_s = time.monotonic()
        if now_s < self._sampled_s + SAMPLE_S:
            return
        self._sampled_s = now_s
        try:
            for number in range(PARTITIONS):
                lane = TopicPartition(self.job.output, number)
                stable = self._stable.get_watermark_offsets(lane, timeout=ANSWER_S)[1]
                high = self._asker.get_watermark_offsets(lane, timeout=ANSWER_S)[1]
                key = Partition(f"{self.job.output}, {self._outages} outages before", number)
                self.samples.setdefault(key, []).append(Ends(now_s, high, stable))
        except KafkaException:
            self._outages += 1
            for client in (self._stable, self._asker):
                with suppress(KafkaException):
                    client.list_topics(self.job.output, timeout=ANSWER_S)

    def ends(self) -> Committed | None:
        """Return the next offset of each partition of the input; None while the brokers do not tell."""
        try:
            # A client that reads nothing does not notice by itself that leaders have moved.
            self._asker.list_topics(self.job.input, timeout=ANSWER_S)
            marks = [self._asker.get_watermark_offsets(lane, timeout=ANSWER_S) for lane in self._lanes()]
        except KafkaException as error:
            print(f"  the ends are not known: {error.args[0].str()}", file=sys.stderr, flush=True)
            return None
        return {number: high for number, (_, high) in enumerate(marks)}

    def committed(self) -> Committed | None:
        """Return the committed offset of each partition of the input; None while the brokers do not tell."""
        try:
            found = self._asker.committed(self._lanes(), timeout=ANSWER_S)
        except KafkaException:
            return None
        if any(one.error for one in found):
            return None
        return {one.partition: max(one.offset, 0) for one in found}

    def is_past(self, goal: Committed) -> bool:
        """Whether every partition is committed up to a goal."""
        committed = self.committed()
        return committed is not None and all(committed[number] >= end for number, end in goal.items())

    def until_ends(self) -> Committed:
        """Return the ends of the input as soon as the brokers tell."""
        found: list[Committed] = []

        def ask() -> bool:
            ends = self.ends()
            found.extend([ends] if ends is not None else [])
            return bool(found)

        self.until(ask, what="the ends of the input are known")
        return found[0]

    def _consumer(self, isolation: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.job.bootstrap_servers,
                "group.id": self.job.application_id,
                "isolation.level": isolation,
                "log_level": 0,
            }
        )

    def _lanes(self) -> list[TopicPartition]:
        return [TopicPartition(self.job.input, number) for number in range(PARTITIONS)]

    def _start(self, name: str, point: str | None) -> WorkerProcess:
        self._starts += 1
        log = self._folder / f"{name}-{self._starts}.log"
        command = (sys.executable, "-m", "tests.faults.worker", point) if point else WORKER
        env = {"STREAM_INFER_WORKER_ID": name, "PYTHONPATH": str(Path(__file__).parents[2])}
        if self._brokers:
            env["STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS"] = self._brokers.network.bootstrap_servers
        return self._stack.enter_context(WorkerProcess(command, config=self.job.config, log=log, env=env))

    def _wait_exit(self, slot: Slot) -> int:
        self.until(lambda: not slot.process.is_running(), what=f"{slot.name} ends", within_s=EXIT_S)
        return slot.process.wait()


@contextmanager
def open_field(guarantee: str, *, rate: int, rng: random.Random, folder: Path) -> Iterator[Field]:
    """Give a field with workers that are scoring."""
    with Brokers() as brokers:
        make = JobMaker(brokers.bootstrap_servers, Topics(brokers.bootstrap_servers), folder, folder / "cache")
        job = make(partitions=PARTITIONS, versions={"1": 0, "2": 1}, settings=settings(guarantee))
        flow = Flow(job, rate=rate, rng=rng)
        with closing(Field(brokers, job, flow, rng, folder=folder)) as field_, flow.running():
            field_.add(count=WORKERS)
            goal = field_.until_ends()
            field_.until(lambda: field_.is_past(goal) and flow.sent > WORKERS * rate, what="the workers score")
            yield field_


def settings(guarantee: str) -> Settings:
    """Return what workers run with: time-outs that a fault can pass."""
    return {
        "kafka": {
            "startup_timeout_s": 120,
            "consumer_properties": {"session.timeout.ms": int(SESSION_S * 1000), "heartbeat.interval.ms": 1000},
        },
        "delivery": {"processing_guarantee": guarantee, "transaction_timeout_ms": int(TRANSACTION_S * 1000)},
        "log": {"format": "json"},
    }


def _last_words(log: str) -> str:
    """Return the last line in which a worker said why it cannot go on; the last of all where none does."""
    lines = log.splitlines()
    return next((line for line in reversed(lines) if CRITICAL in line), lines[-1] if lines else "it said nothing")
