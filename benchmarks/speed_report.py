"""The speed of all competitors, as rows, as text for docs/benchmarks.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.competitors import COMPETITORS
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
    """One competitor at one batch size; a ratio compares two runs of the same round, None where the other did not run.

    `mean_batch` is in records. `busy` is the median share of wall time that each stage of a worker took.
    """

    batch: int
    name: str
    rounds: int
    events_per_s: Spread
    cpu_us_per_event: Spread
    to_plain: Spread | None
    to_tuned: Spread | None
    cpu_to_tuned: Spread | None
    mean_batch: float | None
    busy: Mapping[str, float] = field(default_factory=dict)


def rows(runs: Runs, *, plain: str, tuned: str) -> list[Row]:
    """Return a row for each competitor and batch size; `plain` and `tuned` name those that others are compared with."""
    return [
        _row(batch, name, found, plain=runs.get((batch, plain)), tuned=runs.get((batch, tuned)))
        for (batch, name), found in sorted(runs.items(), key=lambda one: (one[0][0], _place(one[0][1])))
    ]


def _place(name: str) -> int:
    return list(COMPETITORS).index(name)


def _row(
    batch: int, name: str, runs: Sequence[Figures], *, plain: Sequence[Figures] | None, tuned: Sequence[Figures] | None
) -> Row:
    rates = [one.events_per_s for one in runs]
    used = [one.cpu_us_per_event for one in runs]
    told = [one.mean_batch for one in runs if one.mean_batch is not None]
    return Row(
        batch=batch,
        name=name,
        rounds=len(runs),
        events_per_s=spread(rates),
        cpu_us_per_event=spread(used),
        to_plain=ratios(rates, [one.events_per_s for one in plain]) if plain else None,
        to_tuned=ratios(rates, [one.events_per_s for one in tuned]) if tuned else None,
        cpu_to_tuned=ratios(used, [one.cpu_us_per_event for one in tuned]) if tuned else None,
        mean_batch=spread(told).median if told else None,
        busy={stage: spread([one.busy[stage] for one in runs]).median for stage in runs[0].busy},
    )


def lines(found: Sequence[Row]) -> list[str]:
    """Return the table as Markdown."""
    return table(list(HEAD), *map(_cells, found))


def _cells(one: Row) -> list[str]:
    return [
        str(one.batch),
        one.name,
        cell(one.events_per_s, ",.0f"),
        cell(one.cpu_us_per_event, ".2f"),
        *("" if each is None else cell(each, ".2f") for each in (one.to_plain, one.to_tuned, one.cpu_to_tuned)),
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
