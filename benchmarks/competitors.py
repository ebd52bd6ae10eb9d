"""Who takes part: for each a command, and a way to ask for the batches that it really formed."""

import socket
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).parent
PLAIN = "plain loop"
TUNED = "tuned loop"
WORKER = "worker, at least once"
EXACT = "worker, exactly once"


@dataclass(frozen=True, slots=True)
class Task:
    """What one run has to do: which topics, which group, how large a batch, which model."""

    bootstrap_servers: str
    source: str
    output: str
    dead_letter: str
    control: str
    status: str
    group: str
    batch: int
    repository: Path


@dataclass(frozen=True, slots=True)
class Start:
    """How to run a competitor; `tell` is asked before it is stopped and returns its mean batch in records, or None."""

    command: list[str]
    tell: Callable[[], float | None]


class Competitor(Protocol):
    """What a name in `COMPETITORS` stands for."""

    def __call__(self, task: Task) -> Start: ...


def loop(script: str, task: Task) -> Start:
    """Start a script of this folder. It does not tell its batches: `consume` waits a second to fill each."""
    places = [task.bootstrap_servers, task.source, task.output, task.group, str(task.batch), str(task.repository)]
    return Start([sys.executable, str(HERE / script), *places], tell=lambda: None)


def worker(task: Task, *, guarantee: str = "at_least_once") -> Start:
    """Start `stream-infer worker` with its web pages, as its users run it."""
    port = free_port()
    settings = {
        "application_id": task.group,
        "kafka.bootstrap_servers": task.bootstrap_servers,
        "topics.input": task.source,
        "topics.output": task.output,
        "topics.dead_letter": task.dead_letter,
        "topics.control": task.control,
        "topics.status": task.status,
        "model.repository": task.repository,
        "model.device": "cpu",
        "batching.max_batch_size": task.batch,
        "delivery.processing_guarantee": guarantee,
        "web.port": port,
    }
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "stream_infer", "worker", "--log-level", "warning", *sets]
    return Start(command, tell=partial(mean_batch, f"http://127.0.0.1:{port}/metrics"))


COMPETITORS: dict[str, Competitor] = {
    PLAIN: partial(loop, "plain_loop.py"),
    TUNED: partial(loop, "tuned_loop.py"),
    WORKER: worker,
    EXACT: partial(worker, guarantee="exactly_once_v2"),
}


def mean_batch(url: str) -> float:
    """Return the mean of the histogram `stream_infer_batch_records` of a metrics page."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http, our own worker
        text = answer.read().decode()
    found: Sequence[float] = [_sample(text, f"stream_infer_batch_records_{part}") for part in ("sum", "count")]
    return found[0] / found[1]


def _sample(text: str, name: str) -> float:
    families = text_string_to_metric_families(text)
    return next(sample.value for family in families for sample in family.samples if sample.name == name)


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
