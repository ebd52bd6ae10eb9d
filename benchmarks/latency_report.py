"""Latency at fixed rates, as rows and as text for docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import table
from benchmarks.stats import Spread, cell, spread
from benchmarks.windows import Latencies

HEAD = ["events/s", "", "p50 ms", "p99 ms", "p99.9 ms", "most ms", "not answered", "sender late ms"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One run at one rate; `sender_late_ms` is the p99 of how late the sender itself was.

    `stolen` is the share of all cores that the host gave to others meanwhile.
    """

    latencies: Latencies
    unanswered: int
    sender_late_ms: float
    stolen: float = 0.0


@dataclass(frozen=True, slots=True)
class TimedRow:
    """One competitor at one rate; `delay_ms` is the worker's `max_queue_delay_ms`, None for a loop."""

    rate: int
    name: str
    delay_ms: int | None
    p50_ms: Spread
    p99_ms: Spread
    p999_ms: Spread
    max_ms: Spread
    unanswered: int
    sender_late_ms: float


def row(rate: int, name: str, runs: Sequence[Timing], *, delay_ms: int | None) -> TimedRow:
    """Return the row of several runs."""
    found = [one.latencies for one in runs]
    return TimedRow(
        rate=rate,
        name=name,
        delay_ms=delay_ms,
        p50_ms=spread([one.p50_ms for one in found]),
        p99_ms=spread([one.p99_ms for one in found]),
        p999_ms=spread([one.p999_ms for one in found]),
        max_ms=spread([one.max_ms for one in found]),
        unanswered=sum(one.unanswered for one in runs),
        sender_late_ms=max(one.sender_late_ms for one in runs),
    )


def lines(rows: Sequence[TimedRow]) -> list[str]:
    """Return the table as Markdown."""
    return table(HEAD, *map(_cells, rows))


def _cells(one: TimedRow) -> list[str]:
    times = (one.p50_ms, one.p99_ms, one.p999_ms, one.max_ms)
    return [
        f"{one.rate:,}",
        one.name,
        *(cell(each, ".1f") for each in times),
        f"{one.unanswered:,}",
        f"{one.sender_late_ms:.1f}",
    ]
