"""Memory and queues of one worker, ten minutes at full load, then with a slow output side: `make bench-memory`.

A feeder keeps the topic ahead of the worker. For the slow side the worker's producer may send only a few records in a
request and one request at a time, so that answers leave more slowly than they are made.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import page, plot, report
from benchmarks.competitors import script, worker
from benchmarks.ground import PARTITIONS, RESULTS, Ground, ground, new_task, parser, publish, repeat, say, topics_of
from benchmarks.page import assigned
from benchmarks.processes import running, stop, wait_for_line
from benchmarks.stats import slope
from benchmarks.watch import RecordCount, Running

BATCH = 512
AHEAD = 300_000
STARTED_S = 180.0
WARM_SHARE = 0.2
SAMPLE_S = 1.0
POLL_S = 0.1
QUEUE_LIMIT_RECORDS = 16_384
KEPT_BYTES = 256 << 20
SEGMENT_BYTES = 32 << 20
SLOW = {
    "kafka.producer_properties.batch.num.messages": 5,
    "kafka.producer_properties.linger.ms": 0,
    "kafka.producer_properties.max.in.flight.requests.per.connection": 1,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one time: seconds from the first sample, answers, resident bytes, and what the queue held."""

    at_s: float
    records: int
    resident_bytes: int
    queue_records: float
    queue_bytes: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run came to; `growth_mb_per_min` is the slope of the line through all samples behind the first fifth."""

    minutes: float
    events_per_s: float
    first_mb: float
    peak_mb: float
    last_mb: float
    growth_mb_per_min: float
    most_queued: float
    most_queued_bytes: float


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=10.0, help="at full load; 0: leave it out")
    made.add_argument("--slow-minutes", type=float, default=2.0, help="with a slow output side; 0: leave it out")
    return made.parse_args()


def sample(seconds: float, found: Ground, settings: Mapping[str, object]) -> list[Sample]:
    """Run a worker that never catches up, and look at it every second."""
    servers = found.bootstrap_servers
    kept = {"retention_bytes": KEPT_BYTES, "segment_bytes": SEGMENT_BYTES}
    limits = {"batching.queue_limit_records": QUEUE_LIMIT_RECORDS, **settings}
    with topics_of(servers) as topics, ExitStack() as stack:
        source = topics.create("bench-events", partitions=PARTITIONS, **kept)
        output = topics.create("bench-out", partitions=PARTITIONS, **kept)
        task = new_task(topics, found, source=source, batch=BATCH, output=output, settings=limits)
        words = (servers, source, output, str(AHEAD))
        feeder = stack.enter_context(running(script("feed", *words), asked=True))
        wait_for_line(feeder)
        start, count = worker(task), RecordCount(servers, output)
        started = stack.enter_context(Running([start]))
        wait_until_working(started, start.port or 0, count)
        seen = look(started, start.port or 0, count, seconds=seconds)
        stop(feeder)
        started.stop()
    return seen


def wait_until_working(started: Running, port: int, count: RecordCount) -> None:
    """Return when the worker owns its partitions and has answered."""
    deadline_s = time.monotonic() + STARTED_S
    while assigned(port) < PARTITIONS or not count():
        started.check(0, 1)
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the worker answered nothing within {STARTED_S:g} s")
        time.sleep(POLL_S)


def look(started: Running, port: int, count: RecordCount, *, seconds: float) -> list[Sample]:
    """Return what was seen for so long."""
    begun_s = time.monotonic()
    seen: list[Sample] = []
    while not seen or seen[-1].at_s < seconds:
        started.check(0, 1)
        told, records = page.read(port), count()
        at_s = time.monotonic() - begun_s
        seen.append(Sample(at_s, records, started.resident_bytes(), told.queue_records, told.queue_bytes))
        time.sleep(SAMPLE_S)
    return seen


def memory(seen: Sequence[Sample]) -> Memory:
    """Return what samples came to. Raises SystemExit when there are too few of them."""
    settled = [one for one in seen if one.at_s >= WARM_SHARE * seen[-1].at_s]
    if len(settled) < 2:
        raise SystemExit(f"there are {len(settled)} samples behind the start, expected at least 2: take more minutes")
    held = [one.resident_bytes / 1e6 for one in settled]
    first, last = settled[0], settled[-1]
    return Memory(
        minutes=seen[-1].at_s / 60,
        events_per_s=(last.records - first.records) / (last.at_s - first.at_s),
        first_mb=held[0],
        peak_mb=max(held),
        last_mb=held[-1],
        growth_mb_per_min=slope([one.at_s / 60 for one in settled], held),
        most_queued=max(one.queue_records for one in seen),
        most_queued_bytes=max(one.queue_bytes for one in seen),
    )


def sentence(title: str, one: Memory) -> str:
    """Return what a run came to as a line of Markdown."""
    return (
        f"- {title}, {one.minutes:.1f} minutes, {one.events_per_s:,.0f} events/s: resident memory {one.first_mb:.0f} "
        f"MB after the first fifth, {one.peak_mb:.0f} MB at most, {one.last_mb:.0f} MB at the end; the line through it "
        f"grows by {one.growth_mb_per_min:.2f} MB a minute. The queue held at most {one.most_queued:,.0f} records "
        f"(limit {QUEUE_LIMIT_RECORDS:,}) of {one.most_queued_bytes / 1e6:.1f} MB."
    )


def parts(options: argparse.Namespace) -> dict[str, tuple[float, Mapping[str, object]]]:
    """Return the runs that were asked for, each with its seconds and settings."""
    asked = {
        "full load": (options.minutes * 60, {}),
        "slow output side": (options.slow_minutes * 60, SLOW),
    }
    return {title: part for title, part in asked.items() if part[0]}


def main() -> None:
    options = parse()
    with ExitStack() as stack:
        found = stack.enter_context(ground(options))
        seen: dict[str, list[Sample]] = {}
        for title, (seconds, settings) in parts(options).items():
            say(f"{title}: {seconds:g} s")
            seen[title] = sample(seconds, found, settings)
        about = found.about()
    came = {title: memory(one) for title, one in seen.items()}
    curves = {
        title: ([each.at_s for each in one], [each.resident_bytes / 1e6 for each in one]) for title, one in seen.items()
    }
    drawn = RESULTS.parent / "memory.png"
    is_drawn = not options.print_only and plot.draw_lines(curves, drawn, x="seconds", y="resident MB")
    picture = [f"![Resident memory](../benchmarks/results/{drawn.name})", ""] if is_drawn else []
    lines = [sentence(title, one) for title, one in came.items()]
    text = "\n".join([*lines, "", *picture, report.origin(about, repeat("bench-memory"))])
    publish("memory", text, {"about": about, "runs": came}, options=options, command="memory")


if __name__ == "__main__":
    main()
