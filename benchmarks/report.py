"""The tables of docs/benchmarks.md."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

BEGIN = "<!-- figures: written by benchmarks/run.py -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One competitor at one batch size: medians, the range of its runs, and ratios of medians."""

    batch: int
    name: str
    events_per_s: float
    slowest: float
    fastest: float
    cpu_us: float
    to_plain: float
    to_tuned: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident megabytes of the worker while that many events waited in its topic."""

    events: int
    first_mb: float
    peak_mb: float
    last_mb: float


def machine() -> dict[str, str | int]:
    """Return what the figures were taken on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{name: version(name) for name in ("confluent-kafka", "faust-streaming", "torch", "pyarrow", "pyruhvro")},
    }


def tables(rows: list[Row], memory: Memory | None, *, events: int, repeats: int) -> str:
    """Return the figures as Markdown."""
    about = ", ".join(f"{key} {value}" for key, value in machine().items())
    lines = [
        f"{events:,} events in 4 partitions, {repeats} interleaved runs, medians. {about}.",
        "",
        "| batch | | events/s | slowest to fastest | CPU us per event | of the plain loop | of the tuned loop |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in sorted(rows, key=lambda one: one.batch)]
    if memory is not None:
        lines += ["", _sentence(memory)]
    return "\n".join(lines)


def _line(row: Row) -> str:
    return (
        f"| {row.batch} | {row.name} | {row.events_per_s:,.0f} | {row.slowest:,.0f} to {row.fastest:,.0f} "
        f"| {row.cpu_us:.1f} | {row.to_plain:.2f} | {row.to_tuned:.2f} |"
    )


def _sentence(memory: Memory) -> str:
    return (
        f"Resident memory of the worker while {memory.events:,} events wait in its topic: {memory.first_mb:.0f} MB "
        f"at the first prediction, {memory.peak_mb:.0f} MB at most, {memory.last_mb:.0f} MB at the last."
    )


def write(path: Path, text: str) -> None:
    """Put the figures between the marks of a document."""
    document = path.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
