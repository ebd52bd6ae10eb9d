"""1, 2 and 4 workers on 8 partitions of one machine, in interleaved rounds: `make bench-scaling`.

The events lie in one transaction that is committed when the group is complete: so all workers begin at the same moment
with a full topic. Afterwards every position is looked for among the answers.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product

from confluent_kafka import Producer

from benchmarks import answers, report
from benchmarks.competitors import Start, Task, worker
from benchmarks.ground import Ground, ground, new_task, numbers, parser, publish, repeat, say, topics_of
from benchmarks.job import LOADING, produced
from benchmarks.page import assigned
from benchmarks.stats import Spread, cell, ratios, spread
from benchmarks.watch import Figures, RecordCount, Running, figures, follow

PARTITIONS = 8
BATCH = 512
JOINED_S = 180.0
OPEN_MS = 900_000
TIMEOUT_S = 60.0
QUIET_S = 3.0
POLL_S = 0.2
HEAD = ["workers", "events/s", "of one worker", "CPU us per event", "lost", "answered twice"]


@dataclass(frozen=True, slots=True)
class Shared:
    """One run: its figures, and events without an answer and answers beyond the first."""

    figures: Figures
    lost: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Row:
    """Several runs with as many workers."""

    workers: int
    events_per_s: Spread
    to_one: Spread | None
    cpu_us_per_event: Spread
    lost: int
    repeated: int


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--workers", default="1,2,4", help="how many, separated by commas")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--events", type=int, default=1_000_000)
    options = made.parse_args()
    options.workers = numbers(options.workers)
    return options


def hidden(task: Task, *, events: int) -> Producer:
    """Produce the events in a transaction, and return the producer that can commit it within 15 minutes."""
    servers = {"bootstrap.servers": task.bootstrap_servers, **LOADING}
    producer = Producer(servers | {"transactional.id": f"{task.group}-events", "transaction.timeout.ms": OPEN_MS})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    for _ in produced(producer, task.source, events=events):
        producer.flush()
    return producer


def crew(task: Task, workers: int) -> list[Start]:
    """Return workers of one group with names of their own."""
    return [
        worker(replace(task, settings={**task.settings, "worker_id": f"{task.group}-{number}"}))
        for number in range(workers)
    ]


def wait_until_shared(running: Running, starts: Sequence[Start]) -> None:
    """Return when every worker owns its share. Raises SystemExit when that takes too long."""
    deadline_s = time.monotonic() + JOINED_S
    share = PARTITIONS // len(starts)
    while (owned := [assigned(one.port) for one in starts if one.port]) != [share] * len(starts):
        running.check(0, 0)
        if time.monotonic() > deadline_s:
            raise SystemExit(f"after {JOINED_S:g} s the workers own {owned} partitions, expected {share} each")
        time.sleep(POLL_S)


def wait_until_quiet(count: RecordCount) -> None:
    """Return when nothing has been written for a few seconds: repeated answers may have come before the last."""
    seen, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        if (now := count()) != seen:
            seen, since_s = now, time.monotonic()
        time.sleep(POLL_S)


def measure(workers: int, found: Ground, *, events: int) -> Shared:
    """Run so many workers once."""
    servers = found.bootstrap_servers
    with topics_of(servers) as topics:
        source = topics.create("bench-events", partitions=PARTITIONS)
        task = new_task(topics, found, source=source, batch=BATCH)
        starts, count = crew(task, workers), RecordCount(servers, task.output)
        loader = hidden(task, events=events)
        with Running(starts) as running:
            wait_until_shared(running, starts)
            loader.commit_transaction(TIMEOUT_S)
            watched = follow(running, count=count, events=events)
            wait_until_quiet(count)
            running.stop()
        due = answers.due_times(servers, source)
        appended = answers.append_times(servers, task.output, due=due)
        arrivals, lost = answers.joined(due, appended, given_up_ms=0.0)
        if len(arrivals.due_ms) != events:
            raise SystemExit(f"{source} holds {len(arrivals.due_ms)} events, expected {events}")
        return Shared(figures(watched), lost, count.seen(expected=events) - (events - lost))


def rows(runs: dict[int, list[Shared]]) -> list[Row]:
    """Return a row for each number of workers; ratios are to one worker in the same round."""
    rates = {workers: [one.figures.events_per_s for one in found] for workers, found in runs.items()}
    return [
        Row(
            workers,
            spread(rates[workers]),
            ratios(rates[workers], rates[1]) if 1 in rates else None,
            spread([one.figures.cpu_us_per_event for one in found]),
            sum(one.lost for one in found),
            sum(one.repeated for one in found),
        )
        for workers, found in runs.items()
    ]


def cells(row: Row) -> list[str]:
    return [
        str(row.workers),
        cell(row.events_per_s, ",.0f"),
        cell(row.to_one, ".2f") if row.to_one else "",
        cell(row.cpu_us_per_event, ".2f"),
        f"{row.lost:,}",
        f"{row.repeated:,}",
    ]


def main() -> None:
    options = parse()
    runs: defaultdict[int, list[Shared]] = defaultdict(list)
    with ExitStack() as stack:
        found = stack.enter_context(ground(options))
        for number, workers in product(range(options.rounds), options.workers):
            one = measure(workers, found, events=options.events)
            runs[workers].append(one)
            rate = f"{one.figures.events_per_s:,.0f} events/s, {one.lost} lost"
            say(f"round {number + 1} of {options.rounds}: {workers} workers: {rate}")
        about = found.about()
    made = rows(runs)
    head = (
        f"{options.events:,} events in {PARTITIONS} partitions, batches of {BATCH}, {options.rounds} interleaved "
        "rounds: medians, and lowest to highest; CPU is that of all workers, which share the cores with the broker."
    )
    table = report.table(HEAD, *map(cells, made))
    text = "\n".join([head, "", *table, "", report.origin(about, repeat("bench-scaling"))])
    publish("scaling", text, {"about": about, "rows": made}, options=options, command="scaling")


if __name__ == "__main__":
    main()
