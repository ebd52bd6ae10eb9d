"""What many runs came to. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs, and their lowest and highest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, lowest and highest. Raises ValueError for no value."""
    if not values:
        raise ValueError("there is no run: expected at least one")
    return Spread(statistics.median(values), min(values), max(values))


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Return the spread of each value over that of the same round. Raises ValueError for unequal numbers of rounds."""
    return spread([one / other for one, other in zip(values, base, strict=True)])


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """Return how much `values` grow for each unit of `at`: the line with the least squares."""
    return statistics.linear_regression(at, values).slope


def cell(one: Spread, form: str) -> str:
    """Return a cell of a table, with every number in the given format."""
    return f"{one.median:{form}} ({one.low:{form}} to {one.high:{form}})"
