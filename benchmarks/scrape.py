"""What the metrics page costs: `make bench-metrics`.

First the time that a page takes while events flow at a fixed rate, asked again and again. Then the rate of a worker
that finds its topic full, with nobody who asks and with somebody who asks far more often than Prometheus does, in
interleaved rounds. What an answer costs is time that the worker's interpreter does nothing else, so its share at an
interval of 15 s is at most the page's time over that.
"""

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import page, report
from benchmarks.competitors import COMPETITORS, WORKER, script
from benchmarks.goals import Goal
from benchmarks.ground import PARTITIONS, Ground, ground, loaded, new_task, parser, publish, repeat, say, topics_of
from benchmarks.memory import wait_until_working
from benchmarks.processes import running, stop, wait_for_line
from benchmarks.stats import Spread, cell, ratios, spread
from benchmarks.watch import RecordCount, Running, run

BATCH = 512
INTERVAL_S = 15.0
"""Prometheus' usual one, which the chart has too."""
PAUSE_S = 0.1
"""Between two pages while their time is taken."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What pages took, in milliseconds, while events were answered at `events_per_s`."""

    events_per_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    pages: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Events a second of a worker by who asks for its page, and what the asked one came to of the other."""

    alone: Spread
    asked: Spread
    ratio: Spread


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--rate", type=int, default=10_000, help="events a second while pages are timed")
    made.add_argument("--seconds", type=float, default=30.0, help="for which pages are timed")
    made.add_argument("--events", type=int, default=1_500_000, help="of a full topic")
    made.add_argument("--every", type=float, default=1.0, help="seconds between two pages of the asked worker")
    made.add_argument("--rounds", type=int, default=5)
    return made.parse_args()


def timed_pages(found: Ground, options: argparse.Namespace) -> Pages:
    """Time pages of a worker that answers events at a fixed rate."""
    servers = found.bootstrap_servers
    with topics_of(servers) as topics, ExitStack() as stack:
        source = topics.create("bench-events", partitions=PARTITIONS)
        task = new_task(topics, found, source=source, batch=BATCH)
        start, count = COMPETITORS[WORKER](task), RecordCount(servers, task.output)
        started = stack.enter_context(Running([start]))
        sender = stack.enter_context(running(script("pace", servers, source, str(options.rate)), asked=True))
        wait_for_line(sender)
        wait_until_working(started, start.port or 0, count)
        before, begun_s = count(), time.monotonic()
        took_ms = list(times_ms(start.port or 0, options.seconds))
        rate = (count() - before) / (time.monotonic() - begun_s)
        stop(sender)
        started.stop()
    return pages(took_ms, rate)


def times_ms(port: int, seconds: float) -> Iterator[float]:
    """Ask for pages for so long; yields how long each took, in milliseconds."""
    end_s = time.monotonic() + seconds
    while (asked_s := time.monotonic()) < end_s:
        page.read(port)
        yield (time.monotonic() - asked_s) * 1000
        time.sleep(PAUSE_S)


def pages(took_ms: Sequence[float], rate: float) -> Pages:
    """Return what pages came to. Raises SystemExit without any."""
    if not took_ms:
        raise SystemExit("no page was read: take more seconds")
    ordered = sorted(took_ms)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99)]
    return Pages(rate, at[0], at[1], ordered[-1], len(ordered))


@contextmanager
def asking(port: int, every_s: float) -> Iterator[list[int]]:
    """Ask for the page on a thread of its own until the block is over; gives what came, 0 before there is a page."""
    over = threading.Event()
    came: list[int] = []

    def ask() -> None:
        while not over.wait(every_s):
            came.append(page.assigned(port))

    thread = threading.Thread(target=ask, name="asking")
    thread.start()
    try:
        yield came
    finally:
        over.set()
        thread.join()


def rate(found: Ground, source: str, options: argparse.Namespace, *, asked: bool) -> float:
    """Return the events a second of one worker that finds its topic full."""
    with topics_of(found.bootstrap_servers) as topics, ExitStack() as stack:
        task = new_task(topics, found, source=source, batch=BATCH)
        start, count = COMPETITORS[WORKER](task), RecordCount(found.bootstrap_servers, task.output)
        came = stack.enter_context(asking(start.port or 0, options.every)) if asked else [PARTITIONS]
        found_rate = run(start, count=count, events=options.events).events_per_s
        if PARTITIONS not in came:
            raise SystemExit("the worker that was asked for its page never showed one: take more events")
        return found_rate


def rates(found: Ground, options: argparse.Namespace) -> Rates:
    """Run a worker that nobody asks and one that is asked, in turn, behind a run that counts for nobody."""
    with topics_of(found.bootstrap_servers) as topics:
        source = loaded(topics, found, events=options.events)
        rate(found, source, options, asked=False)
        runs: dict[bool, list[float]] = {False: [], True: []}
        for number in range(options.rounds):
            # Who is first in a round changes, because what comes first meets another broker.
            for asked in (False, True) if number % 2 == 0 else (True, False):
                runs[asked].append(rate(found, source, options, asked=asked))
                say(f"round {number + 1} of {options.rounds}: {'asked' if asked else 'alone'}: {runs[asked][-1]:,.0f}")
    return Rates(spread(runs[False]), spread(runs[True]), ratios(runs[True], runs[False]))


def lines(found: Pages, came: Rates, every_s: float) -> list[str]:
    """Return the section's figures and verdicts as Markdown."""
    share = found.p50_ms / 1000 / INTERVAL_S * 100
    goals = [
        Goal("p99 of a page, ms", found.p99_ms, 50.0, at_least=False),
        Goal(f"median page of an interval of {INTERVAL_S:g} s, percent", share, 1.0, at_least=False),
    ]
    times = f"p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms, at most {found.most_ms:.1f} ms"
    return [
        f"With {found.events_per_s:,.0f} events/s answered, {found.pages} pages: {times}.",
        "",
        *report.table(
            ["", "events/s", "of the one that nobody asks"],
            ["nobody asks", cell(came.alone, ",.0f"), "1.00"],
            [f"a page every {every_s:g} s", cell(came.asked, ",.0f"), cell(came.ratio, ".2f")],
        ),
        "",
        *(goal.line() for goal in goals),
    ]


def main() -> None:
    options = parse()
    with ExitStack() as stack:
        found = stack.enter_context(ground(options))
        timed, came = timed_pages(found, options), rates(found, options)
        about = found.about()
    text = "\n".join([*lines(timed, came, options.every), "", report.origin(about, repeat("bench-metrics"))])
    publish("metrics", text, {"about": about, "pages": timed, "rates": came}, options=options, command="scrape")


if __name__ == "__main__":
    main()
