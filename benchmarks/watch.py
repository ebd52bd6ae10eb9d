"""Measuring a competitor from outside, in the same way for all: by the records that reach the output topic."""

import subprocess
import time
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition

POLL_S = 0.03
ATTEMPTS = 100
STALLED_S = 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at one time: monotonic seconds, output records, CPU seconds, resident bytes."""

    at_s: float
    records: int
    cpu_s: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to, between the 5 % and the 95 % mark; `peak_mb` over the whole of it."""

    events_per_s: float
    cpu_us_per_event: float
    first_mb: float
    peak_mb: float
    last_mb: float


class OutputWatch:
    """Counts the records of a topic by its high watermarks."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "watch"})
        metadata: Any = self._consumer.list_topics(topic, timeout=10)
        self._partitions = [TopicPartition(topic, number) for number in metadata.topics[topic].partitions]

    def count(self) -> int:
        """Return how many records the topic has received."""
        for _ in range(ATTEMPTS):
            try:
                return sum(self._consumer.get_watermark_offsets(one, timeout=10)[1] for one in self._partitions)
            except KafkaException as error:
                reason = error  # a topic made a moment ago may not have a leader yet
                time.sleep(POLL_S)
        raise reason

    def close(self) -> None:
        self._consumer.close()


def run(command: list[str], *, bootstrap_servers: str, output: str, events: int, **options: Any) -> list[Moment]:
    """Run a competitor until every event is answered, then stop it; raises SystemExit when it ends or stalls before."""
    watch = OutputWatch(bootstrap_servers, output)
    process = subprocess.Popen(command, **options)
    try:
        return _follow(process, watch, events)
    finally:
        process.terminate()
        process.wait(60)
        watch.close()


def _follow(process: "subprocess.Popen[bytes]", watch: OutputWatch, events: int) -> list[Moment]:
    seen: list[Moment] = []
    moved_at = time.monotonic()
    usage = psutil.Process(process.pid)
    while not seen or seen[-1].records < events:
        cpu = usage.cpu_times()
        moment = Moment(time.monotonic(), watch.count(), cpu.user + cpu.system, usage.memory_info().rss)
        moved_at = moment.at_s if not seen or moment.records > seen[-1].records else moved_at
        if process.poll() is not None or moment.at_s - moved_at > STALLED_S:
            raise SystemExit(f"{process.args!r} stopped at {moment.records} of {events} events")
        seen.append(moment)
        time.sleep(POLL_S)
    if seen[-1].records != events:
        raise SystemExit(f"{process.args!r} wrote {seen[-1].records} records for {events} events")
    return seen


def figures(seen: list[Moment]) -> Figures:
    """Return the rates between the 5 % and the 95 % mark."""
    total = seen[-1].records
    start = next(one for one in seen if one.records >= 0.05 * total)
    end = next(one for one in seen if one.records >= 0.95 * total)
    records = end.records - start.records
    working = [one.resident_bytes for one in seen if one.records]
    return Figures(
        events_per_s=records / (end.at_s - start.at_s),
        cpu_us_per_event=(end.cpu_s - start.cpu_s) / records * 1e6,
        first_mb=working[0] / 1e6,
        peak_mb=max(working) / 1e6,
        last_mb=working[-1] / 1e6,
    )
