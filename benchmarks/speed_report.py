"""The speed of all competitors, as rows, as text for docs/benchmarks.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.competitors import COMPETITORS, PLAIN, TUNED
from benchmarks.report import table
from benchmarks.stats import Spread, cell, ratios, spread
from benchmarks.watch import Figures

HEAD = (
    "batch",
    "",
    "events/s",
    "CPU us per event",
    "of the plain loop",
    "of the tuned loop",
    "CPU of the tuned loop's",
    "batch really formed",
)
Runs = Mapping[tuple[int, str], Sequence[Figures]]


@dataclass(frozen=True, slots=True)
class Row:
    """One competitor at one batch size.

    `rate_to` and `cpu_to` are ratios to everybody who took part, by name; each compares two runs of the same round.
    `mean_batch` is in records. `busy` is the median share of wall time that each stage of a worker took.
    """

    batch: int
    name: str
    rounds: int
    events_per_s: Spread
    cpu_us_per_event: Spread
    rate_to: Mapping[str, Spread]
    cpu_to: Mapping[str, Spread]
    mean_batch: float | None
    busy: Mapping[str, float] = field(default_factory=dict)


def rows(runs: Runs) -> list[Row]:
    """Return a row for each competitor and batch size."""
    return [
        _row(batch, name, found, others={other: one for (size, other), one in runs.items() if size == batch})
        for (batch, name), found in sorted(runs.items(), key=lambda one: (one[0][0], _place(one[0][1])))
    ]


def _place(name: str) -> int:
    return list(COMPETITORS).index(name)


def _row(batch: int, name: str, runs: Sequence[Figures], *, others: Mapping[str, Sequence[Figures]]) -> Row:
    rates = [one.events_per_s for one in runs]
    used = [one.cpu_us_per_event for one in runs]
    told = [one.mean_batch for one in runs if one.mean_batch is not None]
    return Row(
        batch=batch,
        name=name,
        rounds=len(runs),
        events_per_s=spread(rates),
        cpu_us_per_event=spread(used),
        rate_to={other: ratios(rates, [one.events_per_s for one in found]) for other, found in others.items()},
        cpu_to={other: ratios(used, [one.cpu_us_per_event for one in found]) for other, found in others.items()},
        mean_batch=spread(told).median if told else None,
        busy={stage: spread([one.busy[stage] for one in runs]).median for stage in runs[0].busy},
    )


def lines(found: Sequence[Row]) -> list[str]:
    """Return the table as Markdown."""
    return table(list(HEAD), *map(_cells, found))


def _cells(one: Row) -> list[str]:
    compared = (one.rate_to.get(PLAIN), one.rate_to.get(TUNED), one.cpu_to.get(TUNED))
    return [
        str(one.batch),
        one.name,
        cell(one.events_per_s, ",.0f"),
        cell(one.cpu_us_per_event, ".2f"),
        *("" if each is None else cell(each, ".2f") for each in compared),
        "" if one.mean_batch is None else f"{one.mean_batch:.0f}",
    ]


def busy_lines(found: Sequence[Row]) -> list[str]:
    """Return a sentence for each worker on how much of the wall time its stages took."""
    return [
        f"- {one.name}, batch {one.batch}: the stages take {one.busy['all']:.0%} of wall time ("
        + ", ".join(f"{stage} {share:.0%}" for stage, share in one.busy.items() if stage != "all")
        + ")."
        for one in found
        if one.busy
    ]
