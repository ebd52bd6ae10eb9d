"""Open-loop latency at fixed rates, in interleaved rounds: `make bench-latency`.

A process sends events when they are due, whether or not anybody keeps up; the timestamp of an event is when it was due,
so a stall counts for every event that was due in it. The latency is from there to the append of its prediction to the
output topic, by the broker's clock, to the millisecond; nobody reads the predictions meanwhile.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product

from benchmarks import answers, latency_report, report
from benchmarks.competitors import AIOKAFKA, COMPETITORS, TUNED, WORKER, script
from benchmarks.goals import Timed, latency_goals
from benchmarks.ground import (
    PARTITIONS,
    Ground,
    ground,
    loaded,
    new_task,
    numbers,
    parser,
    publish,
    repeat,
    say,
    topics_of,
)
from benchmarks.host import Taking, disturbance, undisturbed
from benchmarks.job import load_topic
from benchmarks.latency_report import Timing
from benchmarks.loop import LATENCY
from benchmarks.processes import running, stop, wait_for_line
from benchmarks.watch import RecordCount, Running, run
from benchmarks.windows import Span, latencies

Runs = Mapping[tuple[int, str], Sequence[Timing]]

BATCH = 512
PROBES = 100
READY_S = 120.0
SETTLE_S = 15.0
POLL_S = 0.05
MAXIMUM_EVENTS = 400_000
SHARE = 0.5
LINGER_MS = 1
GOAL_RATE = 2000
STEP_MS = 1.0
"""Kafka's timestamps are whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A competitor for latency; `delay_ms` is the worker's `batching.max_queue_delay_ms` where a goal is about it."""

    title: str
    name: str
    delay_ms: int | None = None

    @property
    def settings(self) -> Mapping[str, object]:
        """What it sets beyond the others."""
        if self.delay_ms is None:
            return {}
        return {"batching.profile": LATENCY, "batching.max_queue_delay_ms": self.delay_ms}


RUNNERS = {
    "aiokafka": Runner(AIOKAFKA, AIOKAFKA),
    "tuned": Runner(TUNED, TUNED),
    "worker-0": Runner("worker, no delay", WORKER, 0),
    "worker-5": Runner("worker, delay of 5 ms", WORKER, 5),
    "worker": Runner("worker as it is by default", WORKER),
}


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--rates", default="2000,10000", help="events a second, separated by commas")
    made.add_argument("--share", type=float, default=SHARE, help="of the worker's maximum, as a rate more; 0: none")
    made.add_argument("--maximum", type=float, help="of the worker, events a second; measured unless it is given")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=float, default=30.0, help="that are measured")
    made.add_argument("--warm-seconds", type=float, default=10.0, help="before them")
    made.add_argument("--runners", default=",".join(RUNNERS))
    options = made.parse_args()
    unknown = [word for word in options.runners.split(",") if word not in RUNNERS]
    if unknown:
        raise SystemExit(f"--runners names {unknown[0]}, expected some of {', '.join(RUNNERS)}")
    return options


def measure_maximum(found: Ground) -> float:
    """Return the events a second of one worker that finds its topic full."""
    with topics_of(found.bootstrap_servers) as topics:
        source = loaded(topics, found, events=MAXIMUM_EVENTS)
        task = new_task(topics, found, source=source, batch=BATCH)
        count = RecordCount(found.bootstrap_servers, task.output)
        return run(COMPETITORS[WORKER](task), count=count, events=MAXIMUM_EVENTS).events_per_s


def measure(runner: Runner, rate: int, found: Ground, options: argparse.Namespace) -> Timing:
    """Run one competitor at one rate."""
    servers = found.bootstrap_servers
    with topics_of(servers) as topics:
        source = topics.create("bench-events", partitions=PARTITIONS)
        output = topics.create("bench-out", partitions=PARTITIONS, message_timestamp_type="LogAppendTime")
        task = new_task(
            topics,
            found,
            source=source,
            batch=BATCH,
            output=output,
            profile=LATENCY,
            settings=runner.settings,
        )
        load_topic(servers, source, events=PROBES, say=lambda _: None)
        count = RecordCount(servers, output)
        with Running([COMPETITORS[runner.name](task)]) as started:
            wait_for(count, PROBES, within_s=READY_S, running=started)
            span, stolen, told = send(servers, source, rate, options)
            given_up_ms = wait_for(count, PROBES + told["sent"], within_s=SETTLE_S)
            started.stop()
        due = answers.due_times(servers, source)
        appended = answers.append_times(servers, output, due=due)
    arrivals, missing = answers.joined(due, appended, given_up_ms=given_up_ms)
    return Timing(latencies(arrivals, [span], step_ms=STEP_MS), missing, told["late_p99_ms"], stolen)


def send(servers: str, source: str, rate: int, options: argparse.Namespace) -> tuple[Span, float, dict[str, float]]:
    """Send events for a while; return the stretch to look at, what the host took in it, and what the sender said."""
    with running(script("pace", servers, source, str(rate), str(LINGER_MS)), asked=True) as sender:
        wait_for_line(sender)
        time.sleep(options.warm_seconds)
        begin_ms, taking = time.time() * 1000, Taking()
        time.sleep(options.seconds)
        end_ms, stolen = time.time() * 1000, taking.share()
        told: dict[str, float] = json.loads(stop(sender))
    return Span(begin_ms, end_ms), stolen, told


def wait_for(count: RecordCount, events: float, *, within_s: float, running: Running | None = None) -> float:
    """Wait until so many predictions are there, and return the time in ms since 1970.

    Raises SystemExit when `running` is given, and ends or lets the time pass.
    """
    deadline_s = time.monotonic() + within_s
    while (records := count()) < events and time.monotonic() < deadline_s:
        if running:
            running.check(records, int(events))
        time.sleep(POLL_S)
    if running and records < events:
        raise SystemExit(f"{records} of {events:g} events were answered within {within_s:g} s")
    return time.time() * 1000


def interleaved(options: argparse.Namespace, found: Ground, rates: list[int]) -> tuple[Runs, int]:
    """Run everybody once a round at every rate, behind a run that is thrown away: a broker that just began is slow.

    Returns the runs that count by rate and word, and how many were made.
    """
    runs: defaultdict[tuple[int, str], list[Timing]] = defaultdict(list)
    words, made = options.runners.split(","), 0
    say(f"warming the broker up: {RUNNERS[words[0]].title}, {rates[0]:,} events/s")
    measure(RUNNERS[words[0]], rates[0], found, options)
    for number, rate, word in product(range(options.rounds), rates, words):
        one, tries = undisturbed(partial(measure, RUNNERS[word], rate, found, options))
        made += tries
        runs[rate, word].append(one)
        times = f"p50 {one.latencies.p50_ms:.1f}, p99 {one.latencies.p99_ms:.1f} ms"
        say(f"round {number + 1} of {options.rounds}: {RUNNERS[word].title}, {rate:,} events/s: {times}")
    return runs, made


def table(runs: Runs) -> list[latency_report.TimedRow]:
    """Return a row for each competitor and rate."""
    return [
        latency_report.row(rate, RUNNERS[word].title, one, delay_ms=RUNNERS[word].delay_ms)
        for (rate, word), one in runs.items()
    ]


def text(
    rows: list[latency_report.TimedRow], options: argparse.Namespace, maximum: float, host: str, origin: str
) -> str:
    """Return the section as Markdown."""
    head = (
        f"{options.rounds} interleaved rounds of {options.seconds:g} s behind {options.warm_seconds:g} s to warm up: "
        f"medians, and lowest to highest; a run before them is thrown away. The worker's maximum is {maximum:,.0f} "
        f"events/s. An event without an answer {SETTLE_S:g} s after the last was sent counts with the time until then. "
        f"{host}"
    )
    timed = [
        Timed(one.name, one.delay_ms, one.p50_ms.median, one.p99_ms.median) for one in rows if one.rate == GOAL_RATE
    ]
    verdicts = [goal.line() for goal in latency_goals(timed)]
    held = [f"At {GOAL_RATE:,} events/s:", "", *verdicts, ""] if verdicts else []
    return "\n".join([head, "", *latency_report.lines(rows), "", *held, origin])


def main() -> None:
    options = parse()
    with ExitStack() as stack:
        found = stack.enter_context(ground(options))
        maximum = options.maximum or measure_maximum(found)
        rates = [*numbers(options.rates), *([int(maximum * options.share)] if options.share else [])]
        runs, made = interleaved(options, found, rates)
        about = found.about()
    rows = table(runs)
    host = disturbance((one for found in runs.values() for one in found), made=made)
    written = text(rows, options, maximum, host, report.origin(about, repeat("bench-latency")))
    publish("latency", written, {"about": about, "maximum": maximum, "rows": rows}, options=options, command="latency")


if __name__ == "__main__":
    main()
