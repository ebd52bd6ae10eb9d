"""Measuring a competitor from outside, in the same way for all: by the records that reach the output topic."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks import page
from benchmarks.competitors import Start
from benchmarks.host import share, stolen_s
from benchmarks.loop import told
from benchmarks.page import Page

POLL_S = 0.05
STALLED_S = 120.0
STOP_S = 60.0
LEADER_S = 10.0
AT_ONCE = 10_000
READ_S = 1.0


@dataclass(frozen=True, slots=True)
class Marks:
    """The shares of all events between which a run is measured: what is before is its start."""

    begin: float = 0.05
    end: float = 0.95


@dataclass(frozen=True, slots=True)
class Mark:
    """What was seen at one time: monotonic seconds, output records, CPU seconds with children.

    A busy worker takes a while to show its page; `pages` are of the monotonic time `read_s`. `stolen_s` is how many
    CPU seconds the host has given to others so far while this machine wanted them.
    """

    at_s: float
    records: int
    cpu_s: float
    pages: Sequence[Page]
    read_s: float
    stolen_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """One whole run: its two marks, and resident bytes from the first answer on."""

    begin: Mark
    end: Mark
    resident_bytes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to between its marks; resident megabytes over the whole of it.

    `mean_batch` is None where nobody told it; `busy` is the share of wall time that each stage of a worker took;
    `stolen` is the share of all cores that the host gave to others meanwhile, 0 where the system does not tell.
    """

    events_per_s: float
    cpu_us_per_event: float
    mean_batch: float | None
    first_mb: float
    peak_mb: float
    last_mb: float
    busy: Mapping[str, float] = field(default_factory=dict)
    stolen: float = 0.0


class RecordCount:
    """Counts the records of a topic by its high watermarks: one request for all partitions.

    The markers of transactions count too, a few in a second; `seen` reads the topic and counts none of them.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._servers = bootstrap_servers
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._asked = {
            TopicPartition(topic, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for number in self._partitions(topic)
        }

    def _partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; one made a moment ago may be without any in the broker's answer."""
        deadline_s = time.monotonic() + LEADER_S
        while time.monotonic() < deadline_s:
            metadata: Any = self._admin.list_topics(topic, timeout=LEADER_S)
            if found := list(metadata.topics[topic].partitions):
                return found
            time.sleep(POLL_S)
        raise SystemExit(f"{topic} has no partitions after {LEADER_S:g} s, expected at least one")

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

    def seen(self, *, expected: int) -> int:
        """Return how many records a reader of committed records finds.

        The broker ends a committed transaction a moment later: until `expected` are there it is read again, for 10 s.
        """
        deadline_s = time.monotonic() + LEADER_S
        while (found := self._read()) < expected and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        return found

    def _read(self) -> int:
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


class Running:
    """Processes of competitors that do one job together; they are ended with the block."""

    def __init__(self, starts: Sequence[Start]) -> None:
        self._starts = starts
        self.processes = [subprocess.Popen(one.command, stdout=subprocess.DEVNULL) for one in starts]
        self._usages = [psutil.Process(one.pid) for one in self.processes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def mark(self, records: int, *, at_s: float) -> Mark:
        """Return what there is to see now, a moment after that many records were counted."""
        used_s = sum(map(cpu_s, self._usages))
        pages = [page.read(one.port) for one in self._starts if one.port is not None]
        return Mark(at_s, records, used_s, pages, time.monotonic(), stolen_s())

    def resident_bytes(self) -> int:
        """Return what all of them together hold in memory."""
        return sum(one.memory_info().rss for one in self._usages)

    def check(self, records: int, events: int) -> None:
        """Raise SystemExit when one of them has ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise SystemExit(f"{process.args!r} stopped at {records} of {events} events")

    def stop(self) -> None:
        """Ask all of them to end; raises SystemExit for one that ends badly or not within a minute."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            if process.wait(STOP_S):
                raise SystemExit(f"{process.args!r} ended with {process.returncode}, expected 0")


def cpu_s(usage: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children, those that have ended too."""
    found = [one.cpu_times() for one in (usage, *usage.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in found)


def run(start: Start, *, count: RecordCount, events: int, marks: Marks | None = None) -> Figures:
    """Run one competitor until every event is answered, and stop it.

    Raises SystemExit when it ends or stalls before, ends badly, or leaves another number of records than of events.
    """
    with Running([start]) as running:
        watched = follow(running, count=count, events=events, marks=marks)
        running.stop()
    written = count.seen(expected=events)
    if written != events:
        raise SystemExit(f"{start.command} wrote {written} records for {events} events")
    whole = told(start.told).mean if start.told else None
    return figures(watched, mean_batch=whole)


def follow(running: Running, *, count: Callable[[], int], events: int, marks: Marks | None = None) -> Watched:
    """Return what was seen until every event was answered, looking every 50 ms."""
    shares = marks or Marks()
    begin: Mark | None = None
    end: Mark | None = None
    resident: list[int] = []
    records, moved_s = 0, time.monotonic()
    while records < events:
        running.check(records, events)
        before, asked_s = records, time.monotonic()
        records = count()
        # The middle of the request, which takes long while all cores are busy.
        at_s = (asked_s + time.monotonic()) / 2
        if records > before:
            moved_s = at_s
        elif at_s - moved_s > STALLED_S:
            raise SystemExit(f"nothing came for {STALLED_S:g} s after {records} of {events} events")
        resident += [running.resident_bytes()] if records else []
        if begin is None and records >= shares.begin * events:
            begin = running.mark(records, at_s=at_s)
        if end is None and records >= shares.end * events:
            end = running.mark(records, at_s=at_s)
        time.sleep(POLL_S)
    if begin is None or end is None:
        raise SystemExit(f"there are {events} events, expected at least one")
    return Watched(begin, end, resident)


def figures(watched: Watched, *, mean_batch: float | None = None) -> Figures:
    """Return what the run came to; raises SystemExit when it was over before it could be measured.

    `mean_batch` is what a loop told; a worker's is that of its pages.
    """
    begin, end = watched.begin, watched.end
    records, wall_s = end.records - begin.records, end.at_s - begin.at_s
    if not records or end.cpu_s <= begin.cpu_s:
        raise SystemExit(f"{end.records} events were answered too soon to be measured: more are needed (--events)")
    return Figures(
        events_per_s=records / wall_s,
        cpu_us_per_event=(end.cpu_s - begin.cpu_s) / records * 1e6,
        mean_batch=page.formed(begin.pages, end.pages) if end.pages else mean_batch,
        first_mb=watched.resident_bytes[0] / 1e6,
        peak_mb=max(watched.resident_bytes) / 1e6,
        last_mb=watched.resident_bytes[-1] / 1e6,
        busy=page.busy(begin.pages[0], end.pages[0], wall_s=end.read_s - begin.read_s) if len(begin.pages) == 1 else {},
        stolen=share(end.stolen_s - begin.stolen_s, wall_s),
    )
