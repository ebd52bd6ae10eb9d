"""One worker on 4 partitions and on 1,000, in interleaved rounds: `make bench-partitions`.

The rate is taken between 5 % and 60 % of the events; then, still under load, the worker is asked to drain.
"""

import argparse
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

from benchmarks import report
from benchmarks.competitors import worker
from benchmarks.goals import Goal
from benchmarks.ground import Ground, ground, loaded, new_task, numbers, parser, publish, repeat, say, topics_of
from benchmarks.page import assigned
from benchmarks.stats import Spread, cell, ratios, spread
from benchmarks.watch import Figures, RecordCount, Running, figures, follow

BATCH = 512
ASSIGNED_S = 180.0
STOP_AT = 0.6
GOAL = 0.8
POLL_S = 0.05
HEAD = [
    "partitions",
    "events/s",
    "of the fewest partitions",
    "CPU us per event",
    "start to all assigned s",
    "assigned to first answer s",
    "drain s",
]


@dataclass(frozen=True, slots=True)
class Owned:
    """One run: its figures, and seconds until every partition was owned, from there to an answer, and of the drain."""

    figures: Figures
    assigned_s: float
    answered_s: float
    drain_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """Several runs on as many partitions."""

    partitions: int
    events_per_s: Spread
    to_fewest: Spread
    cpu_us_per_event: Spread
    assigned_s: Spread
    answered_s: Spread
    drain_s: Spread


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--partitions", default="4,1000", help="how many, the fewest first, separated by commas")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--events", type=int, default=1_000_000)
    options = made.parse_args()
    options.partitions = numbers(options.partitions)
    return options


def measure(partitions: int, source: str, found: Ground, *, events: int) -> Owned:
    """Run the worker once, and drain it in the middle."""
    with topics_of(found.bootstrap_servers) as topics:
        task = new_task(topics, found, source=source, batch=BATCH)
        count = RecordCount(found.bootstrap_servers, task.output)
        start = worker(task)
        begun_s = time.monotonic()
        with Running([start]) as running:
            owned_s = wait_until_owned(running, start.port or 0, partitions)
            answered_s = wait_for_answer(running, count)
            watched = follow(running, count=count, events=int(STOP_AT * events))
            asked_s = time.monotonic()
            running.stop()
            drain_s = time.monotonic() - asked_s
    return Owned(figures(watched), owned_s - begun_s, max(0.0, answered_s - owned_s), drain_s)


def wait_until_owned(running: Running, port: int, partitions: int) -> float:
    """Return the monotonic time at which the worker was seen to own all partitions."""
    deadline_s = time.monotonic() + ASSIGNED_S
    while (owned := assigned(port)) < partitions:
        running.check(0, 0)
        if time.monotonic() > deadline_s:
            raise SystemExit(f"after {ASSIGNED_S:g} s the worker owns {owned} partitions, expected {partitions}")
        time.sleep(POLL_S)
    return time.monotonic()


def wait_for_answer(running: Running, count: RecordCount) -> float:
    """Return the monotonic time at which the first answer was seen."""
    deadline_s = time.monotonic() + ASSIGNED_S
    while not count():
        running.check(0, 1)
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the worker owns its partitions and answered nothing for {ASSIGNED_S:g} s")
        time.sleep(POLL_S)
    return time.monotonic()


def rows(runs: dict[int, list[Owned]]) -> list[Row]:
    """Return a row for each number of partitions; ratios are to the fewest in the same round."""
    rates = {number: [one.figures.events_per_s for one in found] for number, found in runs.items()}
    return [
        Row(
            number,
            spread(rates[number]),
            ratios(rates[number], rates[min(rates)]),
            spread([one.figures.cpu_us_per_event for one in found]),
            spread([one.assigned_s for one in found]),
            spread([one.answered_s for one in found]),
            spread([one.drain_s for one in found]),
        )
        for number, found in runs.items()
    ]


def cells(row: Row) -> list[str]:
    times = (row.assigned_s, row.answered_s, row.drain_s)
    return [
        f"{row.partitions:,}",
        cell(row.events_per_s, ",.0f"),
        cell(row.to_fewest, ".2f"),
        cell(row.cpu_us_per_event, ".2f"),
        *(cell(one, ".1f") for one in times),
    ]


def text(made: list[Row], options: argparse.Namespace, origin: str) -> str:
    """Return the section as Markdown."""
    head = (
        f"{options.events:,} events, batches of {BATCH}, {options.rounds} interleaved rounds: medians, and lowest to "
        "highest. The start includes Python's imports and the load of the model."
    )
    goals = [Goal(f"rate on {one.partitions:,} partitions", one.to_fewest.median, GOAL).line() for one in made[1:]]
    return "\n".join([head, "", *report.table(HEAD, *map(cells, made)), "", *goals, "", origin])


def main() -> None:
    options = parse()
    runs: defaultdict[int, list[Owned]] = defaultdict(list)
    with ExitStack() as stack:
        found = stack.enter_context(ground(options))
        topics = stack.enter_context(topics_of(found.bootstrap_servers))
        sources = {one: loaded(topics, found, events=options.events, partitions=one) for one in options.partitions}
        for number, partitions in product(range(options.rounds), options.partitions):
            one = measure(partitions, sources[partitions], found, events=options.events)
            runs[partitions].append(one)
            rate = f"{one.figures.events_per_s:,.0f} events/s, drained in {one.drain_s:.1f} s"
            say(f"round {number + 1} of {options.rounds}: {partitions} partitions: {rate}")
        about = found.about()
    made = rows(runs)
    written = text(made, options, report.origin(about, repeat("bench-partitions")))
    publish("partitions", written, {"about": about, "rows": made}, options=options, command="partitions")


if __name__ == "__main__":
    main()
