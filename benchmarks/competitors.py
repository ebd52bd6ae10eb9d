"""Who takes part, and how each is started."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from benchmarks.loop import THROUGHPUT
from stream_infer.testing.kafka.properties import free_port

PLAIN = "plain loop"
TUNED = "tuned loop"
AIOKAFKA = "aiokafka loop"
FAUST = "stock Faust"
WORKER = "worker, at least once"
EXACT = "worker, exactly once"


@dataclass(frozen=True, slots=True)
class Task:
    """What one run has to do: which topics, which group, how large a batch, which model.

    `told` is where a loop tells its batches, `profile` what it is for, `settings` are further ones of a worker.
    """

    bootstrap_servers: str
    source: str
    output: str
    dead_letter: str
    control: str
    status: str
    group: str
    batch: int
    repository: Path
    told: Path
    profile: str = THROUGHPUT
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """How to run a competitor, and where its batches can be known: a worker's port, or the file a loop writes."""

    command: list[str]
    port: int | None = None
    told: Path | None = None


class Competitor(Protocol):
    """What a name in `COMPETITORS` stands for."""

    def __call__(self, task: Task) -> Start: ...


def loop(module: str, task: Task) -> Start:
    """Start a script of this folder."""
    places = [task.bootstrap_servers, task.source, task.output, task.group, str(task.batch), str(task.repository)]
    return Start(script(module, *places, str(task.told), task.profile), told=task.told)


def script(module: str, *words: str) -> list[str]:
    """Return the command that runs a module of this folder."""
    return [sys.executable, "-m", f"benchmarks.{module}", *words]


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
        **task.settings,
    }
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "stream_infer", "worker", "--log-level", "warning", *sets]
    return Start(command, port=port)


COMPETITORS: dict[str, Competitor] = {
    PLAIN: partial(loop, "plain_loop"),
    TUNED: partial(loop, "tuned_loop"),
    AIOKAFKA: partial(loop, "aiokafka_loop"),
    FAUST: partial(loop, "stock_faust"),
    WORKER: worker,
    EXACT: partial(worker, guarantee="exactly_once_v2"),
}
WORDS = {
    "plain": PLAIN,
    "tuned": TUNED,
    "aiokafka": AIOKAFKA,
    "faust": FAUST,
    "worker": WORKER,
    "exact": EXACT,
}
"""How `--runners` names them."""
