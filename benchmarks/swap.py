"""What the stream notices of a swap: latency from end to end in swaps and between them, in one run: `make bench-swap`.

Events are sent on a schedule by one process and their predictions read by another; a latency is the time of reading
less the time at which the event was due. A swap window is from just before the control record is appended until 1 s
after the last worker has said ACTIVE; behind each follows a steady window of the same length.
Writes benchmarks/results and the figures in docs/benchmarks.md.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks import report, stats, swap_report
from benchmarks.competitors import Task, script, worker
from benchmarks.control import Control
from benchmarks.embedded import register, write_versions
from benchmarks.ground import DOCUMENT, PARTITIONS, RESULTS, busy_percent, create_control, say, topics_of
from benchmarks.host import Taking, disturbance, undisturbed
from benchmarks.job import load_topic
from benchmarks.processes import running, stop, wait_for_line
from benchmarks.watch import RecordCount, run
from benchmarks.windows import Arrivals, Span, Swap, latencies, phases
from stream_infer.testing.kafka import Cluster, Topics, kafka_cluster

BATCH = 512
VERSIONS = {"1": 1, "2": 2}
FIRST = "1"
CACHE = "cache"
MAXIMUM_EVENTS = 400_000
SHARE = 0.25
WARM_S = 30.0
"""The broker's own code is compiled while it runs: until then it takes most of a core."""
PAUSE_S = 2.0
AFTER_ACTIVE_S = 1.0
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rates share."""

    cluster: Cluster
    folder: Path
    repository: Path
    workers: int
    swaps: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A swap and the steady window behind it; `stolen` is what the host took, in the window where it was more."""

    swap: Swap
    steady: Span
    stolen: float


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One rate from its first event to its last: the pairs that count, of so many that were `made`."""

    arrivals: Arrivals
    pairs: Sequence[Pair]
    made: int
    sent: int
    sender_late_ms: float

    @property
    def swaps(self) -> list[Swap]:
        return [one.swap for one in self.pairs]

    @property
    def steady(self) -> list[Span]:
        return [one.steady for one in self.pairs]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=("export", "safetensors"), default="export")
    parser.add_argument("--megabytes", type=int, default=100, help="at least, of each version")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--rate", type=int, default=2000, help="events a second, beside a quarter of the maximum")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--print-only", action="store_true", help="change no file")
    return parser.parse_args()


def main() -> None:
    options = parse()
    busy = busy_percent()
    with kafka_cluster(say=say) as cluster, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sizes = write_versions(
            folder / "models", VERSIONS, kind=options.format, size_bytes=options.megabytes * 1_000_000
        )
        set_environment(folder)
        ground = Ground(cluster, folder, folder / "models", options.workers, options.swaps)
        maximum = measure_maximum(ground)
        say(f"the maximum is {maximum:,.0f} events/s")
        rates = [options.rate, int(maximum * SHARE)]
        runs = [measure(rate, ground) for rate in rates]
        largest = max(file.stat().st_size for file in sizes[0].path.iterdir())
    kafka = cluster.source if cluster.owned else "a running cluster"
    publish(
        options, rates, runs, maximum=maximum, model_mb=largest / 1e6, about=report.machine(kafka, busy_percent=busy)
    )


def set_environment(folder: Path) -> None:
    """Tell every worker, by its environment, which version is first, to keep none, and where the architecture is."""
    os.environ.update(
        {
            "PYTHONPATH": register(folder / "site"),
            "STREAM_INFER_MODEL__VERSION": FIRST,
            "STREAM_INFER_MODEL__KEEP_PREVIOUS_S": "0",
            "STREAM_INFER_MODEL__CACHE_DIRECTORY": str(folder / CACHE),
        }
    )


def new_task(topics: Topics, ground: Ground, *, source: str) -> Task:
    return Task(
        ground.cluster.bootstrap_servers,
        source,
        output=topics.create("swap-out", partitions=PARTITIONS),
        dead_letter=topics.create("swap-dead", partitions=1),
        control=create_control(topics),
        status=topics.create("swap-status", partitions=1),
        group=topics.name("swap"),
        batch=BATCH,
        repository=ground.repository,
        told=ground.folder / "told.json",
    )


def measure_maximum(ground: Ground) -> float:
    """Return the events a second of one worker that finds its topic full."""
    servers = ground.cluster.bootstrap_servers
    with topics_of(servers) as topics:
        source = topics.create("swap-events", partitions=PARTITIONS)
        load_topic(servers, source, events=MAXIMUM_EVENTS, say=say)
        task = new_task(topics, ground, source=source)
        return run(worker(task), count=RecordCount(servers, task.output), events=MAXIMUM_EVENTS).events_per_s


def measure(rate: int, ground: Ground) -> Run:
    """Run workers, sender and reader at one rate, swapping."""
    servers = ground.cluster.bootstrap_servers
    with topics_of(servers) as topics, ExitStack() as stack:
        task = new_task(topics, ground, source=topics.create("swap-events", partitions=PARTITIONS))
        control = stack.enter_context(
            Control(servers, control=task.control, status=task.status, workers=ground.workers)
        )
        workers = [stack.enter_context(running(worker(task).command)) for _ in range(ground.workers)]
        control.until_active(FIRST, revision=0)
        noted = ground.folder / f"arrivals-{rate}.npy"
        reader = stack.enter_context(running(script("arrivals", servers, task.output, str(noted)), asked=True))
        wait_for_line(reader)
        sender = stack.enter_context(running(script("pace", servers, task.source, str(rate)), asked=True))
        wait_for_line(sender)
        time.sleep(WARM_S)
        pairs, made = swap_and_rest(control, ground, rate)
        told = json.loads(stop(sender))
        time.sleep(SETTLE_S)
        stop(reader)
        for one in workers:
            stop(one)
        due, read = np.load(noted)
    return Run(Arrivals(due, read), pairs, made, told["sent"], told["late_p99_ms"])


def swap_and_rest(control: Control, ground: Ground, rate: int) -> tuple[list[Pair], int]:
    """Swap versions in turn; return the pairs that count, and how many were made."""
    done: list[Pair] = []
    revisions, made = count(1), 0
    for number in range(1, ground.swaps + 1):
        one, tries = undisturbed(lambda: swap_once(control, ground, next(revisions)))
        made += tries
        done.append(one)
        took_s = (one.swap.active_ms - one.swap.told_ms) / 1000
        again = f", the least of {tries} tries" if tries > 1 else ""
        say(
            f"{rate:,} events/s: swap {number} of {ground.swaps} took {took_s:.2f} s; "
            f"the host took {one.stolen:.1%} of the cores{again}"
        )
    return done, made


def swap_once(control: Control, ground: Ground, revision: int) -> Pair:
    """Swap once, and look at as long a window behind it.

    Every swap tries its version in a child process first, as one does that a worker has never seen.
    """
    shutil.rmtree(ground.folder / CACHE / "trials")
    version = "2" if revision % 2 else "1"
    told_ms, taking = now_ms(), Taking()
    control.tell(version, revision=revision)
    entered = control.until_active(version, revision=revision)
    swap = Swap(revision, version, told_ms, now_ms(), entered)
    time.sleep(AFTER_ACTIVE_S)
    stolen = taking.share()
    time.sleep(PAUSE_S)
    begin_ms, taking = now_ms(), Taking()
    time.sleep((window(swap).end_ms - told_ms) / 1000)
    return Pair(swap, Span(begin_ms, now_ms()), max(stolen, taking.share()))


def window(swap: Swap) -> Span:
    return Span(swap.told_ms, swap.active_ms + AFTER_ACTIVE_S * 1000)


def now_ms() -> float:
    return time.time() * 1000


def rate_figures(rate: int, one: Run, *, maximum: float) -> swap_report.RateFigures:
    steady = latencies(one.arrivals, one.steady)
    each = [swap.phases(end_ms=window(swap).end_ms) for swap in one.swaps]
    return swap_report.RateFigures(
        events_per_s=rate,
        share_of_maximum=rate / maximum,
        swaps=len(one.swaps),
        to_active_s=stats.spread([(swap.active_ms - swap.told_ms) / 1000 for swap in one.swaps]),
        steady=steady,
        swapping=latencies(one.arrivals, [window(swap) for swap in one.swaps]),
        phases=phases(one.arrivals, each, limit_ms=swap_report.GOAL * steady.p99_ms),
        sender_late_ms=one.sender_late_ms,
        host=disturbance(one.pairs, made=one.made),
        unanswered=one.sent - len(one.arrivals.due_ms),
    )


def publish(
    options: argparse.Namespace,
    rates: Sequence[int],
    runs: Sequence[Run],
    *,
    maximum: float,
    model_mb: float,
    about: dict[str, str],
) -> None:
    found = [rate_figures(rate, one, maximum=maximum) for rate, one in zip(rates, runs, strict=True)]
    panels = [
        swap_report.Drawn(f"{rate:,} events/s, {options.format}", one.arrivals, one.swaps, one.steady)
        for rate, one in zip(rates, runs, strict=True)
    ]
    plot = RESULTS.parent / f"swap-{options.format}.png"
    is_drawn = not options.print_only and swap_report.draw(panels, plot)
    whole = swap_report.SwapFigures(
        options.format, model_mb, options.workers, maximum, found, plot.name if is_drawn else None
    )
    if not is_drawn:
        say("there is no plot: it takes the extra bench (matplotlib), and no --print-only")
    part = f"swap-{options.format}"
    words = shlex.join(sys.argv[1:])
    text = swap_report.text(
        whole, about=about, command=f'make bench-swap ARGS="{words}"' if words else "make bench-swap"
    )
    print(f"{part}\n\n{text}\n")
    if not options.print_only:
        report.write_results(RESULTS, part, found={"about": about, **asdict(whole)})
        report.write_document(DOCUMENT, part, text=text, script="swap.py")


if __name__ == "__main__":
    main()
