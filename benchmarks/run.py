"""The worker against bare loops on a real Kafka, in one interleaved session, and its memory: `make bench`.

Every run is a process of its own with its own group and output topic; the order is A B C A B C ..., so that all meet
the same machine. Writes benchmarks/results/latest.json and the figures in docs/benchmarks.md, each part that it took.
"""

import argparse
import shlex
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psutil
import report
from competitors import COMPETITORS, PLAIN, TUNED, WORKER, Task
from job import LAYERS, load_topic
from watch import Figures, RecordCount, figures, run

from stream_infer.testing.kafka import Topics, kafka_cluster
from stream_infer.testing.models import write_mlp

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
PARTITIONS = 4
FOR_EVER = -1
MEMORY_BATCH = 512
BUSY_SAMPLE_S = 2.0
BUSY_PERCENT = 10.0

Runs = Mapping[tuple[int, str], list[Figures]]


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all runs of a session share: the cluster, its loaded topic, the model."""

    bootstrap_servers: str
    kafka: str
    source: str
    events: int
    repository: Path
    busy_percent: float


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--repeats", type=int, default=3, help="0: leave the speed out")
    parser.add_argument("--batch-sizes", default="512", help="separated by commas")
    parser.add_argument("--memory-events", type=int, default=2_000_000, help="0: leave the memory out")
    parser.add_argument("--print-only", action="store_true", help="change no file")
    return parser.parse_args()


def busy_percent() -> float:
    """Return what other programs use of all cores, and warn: a worker, with more threads, loses more than a loop."""
    found = float(psutil.cpu_percent(BUSY_SAMPLE_S))
    if found > BUSY_PERCENT:
        say(f"other programs use {found:.0f} % of the cores: the figures will be low and scattered")
    return found


@contextmanager
def prepared(events: int) -> Iterator[Ground]:
    """Give a cluster with a loaded topic, and a model version."""
    busy = busy_percent()
    with (
        kafka_cluster(say=say) as cluster,
        tempfile.TemporaryDirectory() as folder,
        topics_of(cluster.bootstrap_servers) as topics,
    ):
        source = topics.create("bench-events", partitions=PARTITIONS)
        load_topic(cluster.bootstrap_servers, source, events=events, say=say)
        loaded = RecordCount(cluster.bootstrap_servers, source)()
        if loaded != events:
            raise SystemExit(f"{source} holds {loaded} events, expected {events}")
        write_mlp(Path(folder), sizes=LAYERS)
        # The address of a borrowed cluster is nobody else's business.
        kafka = cluster.source if cluster.owned else "a running cluster"
        yield Ground(cluster.bootstrap_servers, kafka, source, events, Path(folder), busy)


@contextmanager
def topics_of(bootstrap_servers: str) -> Iterator[Topics]:
    """Give a maker of topics; they are gone afterwards."""
    topics = Topics(bootstrap_servers)
    try:
        yield topics
    finally:
        topics.delete_all()


def create_control(topics: Topics) -> str:
    """Make a control topic as a worker wants it, and return its name."""
    return topics.create(
        "bench-control", partitions=1, cleanup_policy="delete", retention_ms=FOR_EVER, retention_bytes=FOR_EVER
    )


def measure(name: str, batch: int, ground: Ground) -> Figures:
    """Run one competitor once."""
    with topics_of(ground.bootstrap_servers) as topics:
        output = topics.create("bench-out", partitions=PARTITIONS)
        task = Task(
            ground.bootstrap_servers,
            ground.source,
            output=output,
            dead_letter=topics.create("bench-dead", partitions=1),
            control=create_control(topics),
            status=topics.create("bench-status", partitions=1),
            group=topics.name("bench"),
            batch=batch,
            repository=ground.repository,
        )
        start = COMPETITORS[name](task)
        count = RecordCount(ground.bootstrap_servers, output)
        return figures(run(start.command, count=count, events=ground.events, tell=start.tell))


def rounds(batches: list[int], *, repeats: int, ground: Ground) -> Runs:
    """Run everybody once a round, after a run that counts for nobody: a broker is slow until Java has compiled it."""
    measure(TUNED, batches[0], ground)
    runs: defaultdict[tuple[int, str], list[Figures]] = defaultdict(list)
    for number, batch, name in product(range(repeats), batches, COMPETITORS):
        found = measure(name, batch, ground)
        runs[batch, name].append(found)
        say(f"round {number + 1} of {repeats}: {name}, batch {batch}: {found.events_per_s:,.0f} events/s")
    return runs


def speed(options: argparse.Namespace) -> None:
    batches = [int(one) for one in options.batch_sizes.split(",")]
    with prepared(options.events) as ground:
        runs = rounds(batches, repeats=options.repeats, ground=ground)
    rows = [
        report.row(batch, name, one, plain=runs[batch, PLAIN], tuned=runs[batch, TUNED])
        for (batch, name), one in runs.items()
    ]
    about = report.machine(ground.kafka, busy_percent=ground.busy_percent)
    text = report.speed_text(rows, about=about, events=options.events, command=repeat_command())
    listed = [{"batch": batch, "name": name, "runs": one} for (batch, name), one in runs.items()]
    publish("speed", text, {"about": about, "events": options.events, "rows": rows, "runs": listed}, options)


def memory(options: argparse.Namespace) -> None:
    with prepared(options.memory_events) as ground:
        found = measure(WORKER, MEMORY_BATCH, ground)
    used = report.Memory(options.memory_events, MEMORY_BATCH, found.first_mb, found.peak_mb, found.last_mb)
    about = report.machine(ground.kafka, busy_percent=ground.busy_percent)
    text = report.memory_text(used, about=about, command=repeat_command())
    publish("memory", text, {"about": about, "used": used}, options)


def publish(part: str, text: str, found: Mapping[str, object], options: argparse.Namespace) -> None:
    print(f"{part}\n\n{text}\n")
    if not options.print_only:
        report.write_results(RESULTS, part, found=found)
        report.write_document(DOCUMENT, part, text=text)


def repeat_command() -> str:
    """Return what to type to take the same figures again."""
    words = shlex.join(sys.argv[1:])
    return f'make bench ARGS="{words}"' if words else "make bench"


def main() -> None:
    options = parse()
    if options.repeats:
        speed(options)
    if options.memory_events:
        memory(options)


if __name__ == "__main__":
    main()
