"""What the figures came to, as JSON for machines and as tables in docs/benchmarks.md for people."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from watch import Figures

LIBRARIES = ("confluent-kafka", "faust-streaming", "torch", "pyarrow", "pyruhvro")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs, and their lowest and highest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One competitor at one batch size; a ratio compares two runs of the same round. `mean_batch` may be unknown."""

    batch: int
    name: str
    rounds: int
    events_per_s: Spread
    cpu_us_per_event: Spread
    to_plain: Spread
    to_tuned: Spread
    mean_batch: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident megabytes of the worker while that many events waited in its topic."""

    events: int
    batch: int
    first_mb: float
    peak_mb: float
    last_mb: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, lowest and highest of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def row(batch: int, name: str, runs: Sequence[Figures], *, plain: Sequence[Figures], tuned: Sequence[Figures]) -> Row:
    """Return the row of one competitor; `runs`, `plain` and `tuned` are of the same rounds, in their order."""
    told = [one.mean_batch for one in runs if one.mean_batch is not None]
    return Row(
        batch=batch,
        name=name,
        rounds=len(runs),
        events_per_s=spread([one.events_per_s for one in runs]),
        cpu_us_per_event=spread([one.cpu_us_per_event for one in runs]),
        to_plain=_ratio(runs, plain),
        to_tuned=_ratio(runs, tuned),
        mean_batch=statistics.median(told) if told else None,
    )


def _ratio(runs: Sequence[Figures], base: Sequence[Figures]) -> Spread:
    return spread([one.events_per_s / other.events_per_s for one, other in zip(runs, base, strict=True)])


def machine(kafka: str, *, busy_percent: float) -> dict[str, str]:
    """Return what the figures are taken on; `kafka` says where the broker comes from."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "used by other programs before": f"{busy_percent:.0f} %",
        "kafka": kafka,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _cpu_model() -> str:
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def speed_text(rows: Sequence[Row], *, about: Mapping[str, str], events: int, command: str) -> str:
    """Return the table of speeds as Markdown."""
    lines = [
        f"{events:,} events in 4 partitions, {rows[0].rounds} interleaved rounds: medians, and lowest to highest.",
        "",
        "| batch | | events/s | CPU us per event | of the plain loop | of the tuned loop | batch really formed |",
        "|---|---|---|---|---|---|---|",
        *map(_line, sorted(rows, key=lambda one: one.batch)),
        "",
        origin(about, command),
    ]
    return "\n".join(lines)


def _line(one: Row) -> str:
    cells = [
        str(one.batch),
        one.name,
        _cell(one.events_per_s, ",.0f"),
        _cell(one.cpu_us_per_event, ".2f"),
        _cell(one.to_plain, ".2f"),
        _cell(one.to_tuned, ".2f"),
        "" if one.mean_batch is None else f"{one.mean_batch:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(one: Spread, form: str) -> str:
    return f"{one.median:{form}} ({one.low:{form}} to {one.high:{form}})"


def memory_text(found: Memory, *, about: Mapping[str, str], command: str) -> str:
    """Return the sentence on memory as Markdown."""
    return (
        f"{found.events:,} events wait in 4 partitions, batches of {found.batch}. Resident memory of the worker: "
        f"{found.first_mb:.0f} MB at the first prediction, {found.peak_mb:.0f} MB at most, {found.last_mb:.0f} MB at "
        f"the last.\n\n{origin(about, command)}"
    )


def origin(about: Mapping[str, str], command: str) -> str:
    """Return what figures were taken on and how to take them again."""
    return f"{', '.join(f'{name} {value}' for name, value in about.items())}; repeat with `{command}`."


def write_document(path: Path, part: str, *, text: str, script: str = "run.py") -> None:
    """Put `text` between the marks of `part` in a document. Raises ValueError when they are missing."""
    begin, end = f"<!-- {part}: written by benchmarks/{script} -->", f"<!-- end of {part} -->"
    document = path.read_text(encoding="utf-8")
    start, stop = document.index(begin) + len(begin), document.index(end)
    path.write_text(f"{document[:start]}\n\n{text}\n\n{document[stop:]}", encoding="utf-8")


def write_results(path: Path, part: str, *, found: Any) -> None:
    """Replace one part of the JSON results and keep the others; dataclasses inside become objects."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**results, part: found}, indent=2, default=asdict) + "\n", encoding="utf-8")
