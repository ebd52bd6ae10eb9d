"""A worker's metrics page, read as Prometheus reads it."""

import time
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from stream_infer.records import Partition
from tests.end_to_end.harness import WorkerProcess

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """Samples by name and labels, and how long the page took."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    text: str
    took_s: float

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of a name's samples that have these labels."""
        wanted = labels.items()
        return sum(value for (found, has), value in self.samples.items() if found == name and wanted <= has)

    def partitions(self, name: str) -> dict[Partition, float]:
        """Return a name's values by partition."""
        found = [(dict(labels), value) for (one, labels), value in self.samples.items() if one == name]
        return {Partition(labels["topic"], int(labels["partition"])): value for labels, value in found}

    def names(self) -> set[str]:
        """Return the names of all samples."""
        return {name for name, _ in self.samples}


def parse(text: str, *, took_s: float = 0.0) -> Page:
    """Return what a page says; a series that is there twice is an error."""
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples, f"{key} is there twice"
            samples[key] = sample.value
    return Page(samples, text, took_s)


def read(worker: WorkerProcess) -> Page:
    """Return a worker's page; empty while it shows none."""
    began_s = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port}/metrics", timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
    except OSError:
        return Page({}, "", 0.0)
    return parse(text, took_s=time.monotonic() - began_s)
