"""A worker's page of metrics, read once."""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "stream_infer_"
TIMEOUT_S = 10.0
# A commit waits for the broker; all other stages keep the thread that does them busy.
BUSY_STAGES = ("decode", "infer", "encode", "produce")


@dataclass(frozen=True, slots=True)
class Batches:
    """How many batches were formed of how many records, since the start."""

    batches: float
    records: float

    @property
    def mean(self) -> float | None:
        """Records of a batch; None before the first."""
        return self.records / self.batches if self.batches else None


@dataclass(frozen=True, slots=True)
class Page:
    """Batches, and seconds spent in each stage, since the start.

    What the queues held at that moment, and how many partitions the worker owned.
    """

    formed: Batches
    stage_s: Mapping[str, float]
    queue_records: float
    queue_bytes: float
    assigned: float


def parse(text: str) -> Page:
    """Return what a page says, 0 for what it does not name."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(name: str) -> float:
        return sum(one.value for one in samples if one.name == PREFIX + name)

    stages = {one.labels["stage"]: one.value for one in samples if one.name == f"{PREFIX}stage_duration_seconds_sum"}
    return Page(
        formed=Batches(value("batch_records_count"), value("batch_records_sum")),
        stage_s=stages,
        queue_records=value("queue_records"),
        queue_bytes=value("queue_bytes"),
        assigned=value("assigned_partitions"),
    )


def read(port: int) -> Page:
    """Return what the worker on a port of this machine says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
        return parse(answer.read().decode())


def assigned(port: int) -> int:
    """Return how many partitions the worker on a port of this machine owns; 0 before it shows its page."""
    try:
        return int(read(port).assigned)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0


def busy(begin: Page, end: Page, *, wall_s: float) -> Mapping[str, float]:
    """Return the share of wall time that each stage took between two readings, and that of all of them, `all`."""
    spent = {stage: end.stage_s.get(stage, 0.0) - begin.stage_s.get(stage, 0.0) for stage in BUSY_STAGES}
    return {stage: seconds / wall_s for stage, seconds in {**spent, "all": sum(spent.values())}.items()}


def formed(begin: Sequence[Page], end: Sequence[Page]) -> float | None:
    """Return the records of a batch that workers formed between two readings of each; None when they formed none."""
    batches = sum(one.formed.batches for one in end) - sum(one.formed.batches for one in begin)
    records = sum(one.formed.records for one in end) - sum(one.formed.records for one in begin)
    return Batches(batches, records).mean
