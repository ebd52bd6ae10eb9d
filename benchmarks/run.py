"""The worker against bare loops on a real Kafka, in one interleaved session: `make bench`.

Every run is a process of its own with its own group and output topic; the order is A B C A B C ..., so that all meet
the same machine. Writes benchmarks/results/latest.json and the tables of docs/benchmarks.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import job
import report
import watch

from stream_infer.testing.kafka import Topics, kafka_cluster
from stream_infer.testing.models import write_mlp

HERE = Path(__file__).parent
WORKER = "worker, at least once"
LOOPS = {"plain loop": "plain_loop.py", "tuned loop": "tuned_loop.py"}


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all runs share."""

    bootstrap_servers: str
    topics: Topics
    source: str
    repository: str
    folder: Path
    events: int


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-sizes", default="512", help="separated by commas")
    parser.add_argument("--memory-events", type=int, default=2_000_000, help="0: leave the memory run out")
    return parser.parse_args()


@contextmanager
def prepared(events: int) -> Iterator[Ground]:
    with kafka_cluster(say=say) as cluster, tempfile.TemporaryDirectory() as folder:
        topics = Topics(cluster.bootstrap_servers)
        source = topics.create("bench-events", partitions=4)
        job.load_topic(cluster.bootstrap_servers, source, events=events, say=say)
        write_mlp(Path(folder), sizes=job.LAYERS)
        yield Ground(cluster.bootstrap_servers, topics, source, folder, Path(folder), events)
        topics.delete_all()


def command(name: str, batch: int, ground: Ground, *, output: str, group: str) -> list[str]:
    if name in LOOPS:
        places = [ground.bootstrap_servers, ground.source, output, group, str(batch), ground.repository]
        return [sys.executable, str(HERE / LOOPS[name]), *places]
    settings = {
        "application_id": group,
        "kafka.bootstrap_servers": ground.bootstrap_servers,
        "topics.input": ground.source,
        "topics.output": output,
        "topics.dead_letter": ground.topics.create("bench-dead"),
        "model.repository": ground.repository,
        "batching.max_batch_size": batch,
        "web.enabled": "false",
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "stream_infer", "worker", "--log-level", "warning", *sets]


def measure(name: str, batch: int, ground: Ground) -> list[watch.Moment]:
    output = ground.topics.create("bench-out")
    asked = command(name, batch, ground, output=output, group=ground.topics.name("bench"))
    return watch.run(
        asked,
        bootstrap_servers=ground.bootstrap_servers,
        output=output,
        events=ground.events,
        stdout=subprocess.DEVNULL,
    )


def speed(options: argparse.Namespace) -> list[report.Row]:
    found: dict[tuple[int, str], list[watch.Figures]] = defaultdict(list)
    with prepared(options.events) as ground:
        for repeat in range(options.repeats):
            for batch in map(int, options.batch_sizes.split(",")):
                for name in (*LOOPS, WORKER):
                    figures = watch.figures(measure(name, batch, ground))
                    found[batch, name].append(figures)
                    say(f"run {repeat + 1}: {name}, batch {batch}: {figures.events_per_s:,.0f} events/s")
    return [_row(batch, name, runs, found) for (batch, name), runs in found.items()]


def _row(
    batch: int, name: str, runs: list[watch.Figures], found: dict[tuple[int, str], list[watch.Figures]]
) -> report.Row:
    rates = [one.events_per_s for one in runs]
    base = {loop: statistics.median(one.events_per_s for one in found[batch, loop]) for loop in LOOPS}
    rate = statistics.median(rates)
    return report.Row(
        batch=batch,
        name=name,
        events_per_s=rate,
        slowest=min(rates),
        fastest=max(rates),
        cpu_us=statistics.median(one.cpu_us_per_event for one in runs),
        to_plain=rate / base["plain loop"],
        to_tuned=rate / base["tuned loop"],
    )


def memory(events: int) -> report.Memory:
    with prepared(events) as ground:
        figures = watch.figures(measure(WORKER, 512, ground))
    return report.Memory(events, figures.first_mb, figures.peak_mb, figures.last_mb)


def main() -> None:
    options = parse()
    rows = speed(options)
    used = memory(options.memory_events) if options.memory_events else None
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    found = {"rows": [asdict(row) for row in rows], "memory": asdict(used) if used else None, **report.machine()}
    (results / "latest.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    text = report.tables(rows, used, events=options.events, repeats=options.repeats)
    report.write(HERE.parent / "docs" / "benchmarks.md", text)
    print(text)


if __name__ == "__main__":
    main()
