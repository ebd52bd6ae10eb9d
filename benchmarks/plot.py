"""Plots, where matplotlib is: it comes with the extra `bench`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed_report import Row


def figure(width: float, height: float) -> Any:
    """Return an empty figure, None where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return Figure(figsize=(width, height), layout="constrained")


def draw_speed(found: Sequence[Row], path: Path) -> bool:
    """Draw events/s of every competitor at every batch size, with lowest and highest; whether there is a plot."""
    drawn = figure(10, 5)
    if drawn is None:
        return False
    batches = sorted({row.batch for row in found})
    names = list(dict.fromkeys(row.name for row in found))
    axes = drawn.subplots()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        rows = [row for row in found if row.name == name]
        _bars(axes, rows, [batches.index(row.batch) + number * width for row in rows], width=width)
    middle = (len(names) - 1) * width / 2
    axes.set_xticks([at + middle for at in range(len(batches))], [f"batches of {batch}" for batch in batches])
    axes.set_ylabel("events/s (logarithmic)")
    axes.set_yscale("log")
    drawn.legend(loc="outside upper center", ncols=len(names))
    _save(drawn, path)
    return True


def _bars(axes: Any, rows: Sequence[Row], at: Sequence[float], *, width: float) -> None:
    rates = [row.events_per_s for row in rows]
    reach = [[one.median - one.low for one in rates], [one.high - one.median for one in rates]]
    axes.bar(at, [one.median for one in rates], width=width, yerr=reach, capsize=2, label=rows[0].name)


def draw_lines(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path, *, x: str, y: str) -> bool:
    """Draw curves by their labels, each its x and its y; whether there is a plot."""
    drawn = figure(10, 4)
    if drawn is None:
        return False
    axes = drawn.subplots()
    for label, (at, values) in curves.items():
        axes.plot(at, values, label=label)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(drawn, path)
    return True


def _save(drawn: Any, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    drawn.savefig(path, dpi=110)
