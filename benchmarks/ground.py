"""What all runs of a session share: cluster, model, topics; and the options that all commands have."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import report
from benchmarks.competitors import Task
from benchmarks.job import FEATURES, LAYERS, load_topic
from benchmarks.loop import THROUGHPUT
from benchmarks.watch import RecordCount
from stream_infer.testing.kafka import Cluster, Topics, kafka_cluster
from stream_infer.testing.models import write_mlp

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
PARTITIONS = 4
FOR_EVER = -1
BUSY_SAMPLE_S = 2.0
BUSY_PERCENT = 10.0


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster, a folder with the model in `models`, and what other programs used of the cores before."""

    cluster: Cluster
    folder: Path
    busy_percent: float
    settings: Mapping[str, object]

    @property
    def bootstrap_servers(self) -> str:
        """Where the cluster is."""
        return self.cluster.bootstrap_servers

    @property
    def repository(self) -> Path:
        """Where the model is."""
        return self.folder / "models"

    def about(self) -> dict[str, str]:
        """Return what the figures are taken on."""
        # The address of a borrowed cluster is nobody else's business.
        kafka = self.cluster.source if self.cluster.owned else "a running cluster"
        return report.machine(kafka, busy_percent=self.busy_percent)


@contextmanager
def ground(options: argparse.Namespace, *, write: Callable[[Path], object] | None = None) -> Iterator[Ground]:
    """Give a cluster of its own and a repository, with the small model unless `write` puts another there."""
    busy = busy_percent()
    with kafka_cluster(say=say) as cluster, tempfile.TemporaryDirectory() as made:
        found = Ground(cluster, Path(made), busy, worker_settings(options.set))
        (write or write_small)(found.repository)
        yield found


def write_small(repository: Path) -> None:
    """Write the network of 32-64-2."""
    write_mlp(repository, sizes=LAYERS)


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all commands have."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of every worker")
    made.add_argument("--print-only", action="store_true", help="change no file")
    return made


def numbers(text: str) -> list[int]:
    """Return numbers that are separated by commas. Raises ValueError."""
    return [int(one) for one in text.split(",")]


def worker_settings(given: Sequence[str]) -> Mapping[str, object]:
    """Return NAME=VALUE as a mapping. Raises SystemExit for one without `=`."""
    for one in given:
        if "=" not in one:
            raise SystemExit(f"--set is {one}, expected NAME=VALUE")
    return dict(one.split("=", 1) for one in given)


def busy_percent() -> float:
    """Return what other programs use of all cores, and warn: a worker, with more threads, loses more than a loop."""
    found = float(psutil.cpu_percent(BUSY_SAMPLE_S))
    if found > BUSY_PERCENT:
        say(f"other programs use {found:.0f} % of the cores: the figures will be low and scattered")
    return found


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


def loaded(
    topics: Topics, found: Ground, *, events: int, partitions: int = PARTITIONS, features: int = FEATURES
) -> str:
    """Make a topic that holds so many events, and return its name."""
    source = topics.create("bench-events", partitions=partitions)
    load_topic(found.bootstrap_servers, source, events=events, say=say, features=features)
    held = RecordCount(found.bootstrap_servers, source)()
    if held != events:
        raise SystemExit(f"{source} holds {held} events, expected {events}")
    return source


def new_task(
    topics: Topics,
    found: Ground,
    *,
    source: str,
    batch: int,
    output: str | None = None,
    profile: str = THROUGHPUT,
    settings: Mapping[str, object] | None = None,
) -> Task:
    """Make what one run writes to; `settings` go over those of the command line."""
    group = topics.name("bench")
    return Task(
        found.bootstrap_servers,
        source,
        output=output or topics.create("bench-out", partitions=PARTITIONS),
        dead_letter=topics.create("bench-dead", partitions=1),
        control=create_control(topics),
        status=topics.create("bench-status", partitions=1),
        group=group,
        batch=batch,
        repository=found.repository,
        told=found.folder / f"{group}.json",
        profile=profile,
        settings={**found.settings, **(settings or {})},
    )


def publish(
    part: str, text: str, found: Mapping[str, object], *, options: argparse.Namespace, command: str = "run"
) -> None:
    """Print a part, and put it into results and document unless the options say to change no file."""
    print(f"{part}\n\n{text}\n")
    if not options.print_only:
        report.write_results(RESULTS, part, found=found)
        report.write_document(DOCUMENT, part, text=text, script=f"{command}.py")


def repeat(target: str, *, implied: Sequence[str] = ()) -> str:
    """Return what to type to take the same figures again; the target has the words that are `implied`."""
    words = shlex.join(word for word in sys.argv[1:] if word not in implied)
    return f'make {target} ARGS="{words}"' if words else f"make {target}"
