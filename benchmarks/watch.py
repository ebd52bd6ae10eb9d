"""Measuring a competitor from outside, in the same way for all: by the records that reach the output topic."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

POLL_S = 0.05
STALLED_S = 60.0
STOP_S = 60.0
LEADER_S = 10.0
AT_ONCE = 10_000
READ_S = 1.0
# A loop dies of SIGTERM, the worker drains.
ENDED_WELL = {0, -signal.SIGTERM}


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at one time: monotonic seconds, output records, CPU seconds, resident bytes."""

    at_s: float
    records: int
    cpu_s: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Watched:
    """One whole run; `mean_batch` is in records, None where the competitor does not tell."""

    moments: Sequence[Moment]
    mean_batch: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to: rates between its 5 % and its 95 % mark; resident megabytes over the whole of it."""

    events_per_s: float
    cpu_us_per_event: float
    mean_batch: float | None
    first_mb: float
    peak_mb: float
    last_mb: float


class RecordCount:
    """Counts the records of a topic by its high watermarks: one request for all partitions.

    The markers of transactions count too, a few in a second; `seen` reads the topic and counts none of them.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._servers = bootstrap_servers
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        metadata: Any = self._admin.list_topics(topic, timeout=10)
        self._asked = {
            TopicPartition(topic, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for number in metadata.topics[topic].partitions
        }

    def __call__(self) -> int:
        """Return how many records the topic has received; a topic made a moment ago may have no leader yet."""
        deadline_s = time.monotonic() + LEADER_S
        while True:
            try:
                return sum(one.result().offset for one in self._admin.list_offsets(self._asked).values())
            except KafkaException:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(POLL_S)

    def seen(self) -> int:
        """Return how many records a reader of committed records finds."""
        properties = {"bootstrap.servers": self._servers, "group.id": "counts", "enable.partition.eof": True}
        reader = Consumer(properties | {"fetch.queue.backoff.ms": 1})
        reader.assign([TopicPartition(one.topic, one.partition, OFFSET_BEGINNING) for one in self._asked])
        count, left = 0, len(self._asked)
        while left:
            errors = [message.error() for message in reader.consume(AT_ONCE, READ_S)]
            ends = sum(1 for error in errors if error is not None)
            count, left = count + len(errors) - ends, left - ends
        reader.close()
        return count


def run(command: list[str], *, count: RecordCount, events: int, tell: Callable[[], float | None]) -> Watched:
    """Run a competitor until every event is answered, ask it for its mean batch, and stop it.

    Raises SystemExit when it ends or stalls before, ends badly, or leaves another number of records than of events.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        watched = Watched(_follow(process, count, events), tell())
    finally:
        _stop(process)
    written = count.seen()
    if process.returncode not in ENDED_WELL or written != events:
        raise SystemExit(f"{command} ended with {process.returncode} and wrote {written} records for {events} events")
    return watched


def _follow(process: "subprocess.Popen[bytes]", count: RecordCount, events: int) -> list[Moment]:
    seen: list[Moment] = []
    moved_s = time.monotonic()
    usage = psutil.Process(process.pid)
    while not seen or seen[-1].records < events:
        if process.poll() is not None or time.monotonic() - moved_s > STALLED_S:
            raise SystemExit(f"{process.args!r} stopped at {seen[-1].records if seen else 0} of {events} events")
        moment = _look(usage, count)
        if not seen or moment.records > seen[-1].records:
            moved_s = moment.at_s
        seen.append(moment)
        time.sleep(POLL_S)
    return seen


def _look(usage: psutil.Process, count: RecordCount) -> Moment:
    """Count the output; the time is the middle of the request, which takes long while all cores are busy."""
    cpu, resident = usage.cpu_times(), usage.memory_info().rss
    asked_s = time.monotonic()
    records = count()
    return Moment((asked_s + time.monotonic()) / 2, records, cpu.user + cpu.system, resident)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def figures(watched: Watched) -> Figures:
    """Return what the run came to; raises SystemExit when it was over before it could be measured."""
    seen = watched.moments
    total = seen[-1].records
    start = next(one for one in seen if one.records >= 0.05 * total)
    end = next(one for one in seen if one.records >= 0.95 * total)
    records = end.records - start.records
    if not records:
        raise SystemExit(f"{total} events were answered within {POLL_S} s: more are needed (--events)")
    working = [one.resident_bytes for one in seen if one.records]
    return Figures(
        events_per_s=records / (end.at_s - start.at_s),
        cpu_us_per_event=(end.cpu_s - start.cpu_s) / records * 1e6,
        mean_batch=watched.mean_batch,
        first_mb=working[0] / 1e6,
        peak_mb=max(one.resident_bytes for one in seen) / 1e6,
        last_mb=working[-1] / 1e6,
    )
