"""Latencies inside stretches of time: in swaps, and in steady stretches of the same length between them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RECORD = "record"
"""The stretch from a control record to the first state that a worker says of its version."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in milliseconds since 1970."""

    begin_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap: when its record was appended, and when the last worker had said that the version is ACTIVE.

    `entered` has the states that the version went through, with the time at which the first worker was in each.
    """

    revision: int
    version: str
    told_ms: float
    active_ms: float
    entered: Mapping[str, float]

    def phases(self, *, end_ms: float) -> list[tuple[str, Span]]:
        """Return the stretches from one state to the next, in order of time, the last until `end_ms`.

        What is before the first state stands under `RECORD`.
        """
        known = sorted((at_ms, state) for state, at_ms in self.entered.items() if at_ms >= self.told_ms)
        marks = [(self.told_ms, RECORD), *known, (end_ms, "")]
        return [(state, Span(begin_ms, after_ms)) for (begin_ms, state), (after_ms, _) in pairwise(marks)]


@dataclass(frozen=True, slots=True)
class Latencies:
    """What many events' latencies came to, in milliseconds; `window_p99_ms` is the median of each stretch's p99."""

    events: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    window_p99_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """When each event was due and when its prediction could be read, milliseconds since 1970, float64 each."""

    due_ms: Floats
    read_ms: Floats

    @property
    def latency_ms(self) -> Floats:
        return self.read_ms - self.due_ms

    def inside(self, span: Span) -> Floats:
        """Return the latencies of the events that were due in a stretch."""
        return self.latency_ms[(self.due_ms >= span.begin_ms) & (self.due_ms < span.end_ms)]


def quantile(values: Floats, fraction: float, *, step_ms: float = 0.0) -> float:
    """Return the value below which a fraction of them lie.

    Of values that are cut off to whole steps, those of one step are taken to lie evenly between it and the next.
    """
    found = float(np.quantile(values, fraction, method="inverted_cdf" if step_ms else "linear"))
    if not step_ms:
        return found
    below, equal = float((values < found).sum()), float((values == found).sum())
    return found + step_ms * (fraction * len(values) - below) / equal


def latencies(arrivals: Arrivals, spans: Sequence[Span], *, step_ms: float = 0.0) -> Latencies:
    """Return what the events of all spans together came to, see `quantile` for `step_ms`.

    Raises SystemExit where a span has none.
    """
    found = [arrivals.inside(span) for span in spans]
    if not all(len(one) for one in found):
        raise SystemExit("no event was due in one of the windows: the sender stood still")
    whole = np.concatenate(found)
    p50, p99, p999 = (quantile(whole, fraction, step_ms=step_ms) for fraction in (0.5, 0.99, 0.999))
    each = [quantile(one, 0.99, step_ms=step_ms) for one in found]
    return Latencies(len(whole), p50, p99, p999, float(whole.max()), statistics.median(each))


@dataclass(frozen=True, slots=True)
class Phase:
    """What all swaps have in common of one state.

    `seconds` is the median stay; `slow` counts its events that took longer than a limit.
    """

    state: str
    seconds: float
    events: int
    p50_ms: float
    p99_ms: float
    slow: int


def phases(arrivals: Arrivals, swaps: Iterable[Sequence[tuple[str, Span]]], *, limit_ms: float) -> list[Phase]:
    """Return what the latencies came to in each state, in the order in which the states were first met.

    A state in which no event was due is left out.
    """
    spans: dict[str, list[Span]] = {}
    for state, span in (one for swap in swaps for one in swap):
        spans.setdefault(state, []).append(span)
    found: list[Phase] = []
    for state, each in spans.items():
        seconds = statistics.median((span.end_ms - span.begin_ms) / 1000 for span in each)
        latency = np.concatenate([arrivals.inside(span) for span in each])
        if len(latency):
            p50, p99 = (quantile(latency, fraction) for fraction in (0.5, 0.99))
            found.append(Phase(state, seconds, len(latency), p50, p99, int((latency > limit_ms).sum())))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Latency over time: `at_s` from the first event, then p50, p99 and the largest of each bin, milliseconds."""

    at_s: Floats
    p50_ms: Floats
    p99_ms: Floats
    max_ms: Floats


def curve(arrivals: Arrivals, *, bin_ms: float) -> Curve:
    """Return quantiles of the events that were due in each bin of time."""
    order = np.argsort(arrivals.due_ms, kind="stable")
    due, latency = arrivals.due_ms[order], arrivals.latency_ms[order]
    edges = np.arange(due[0], due[-1] + bin_ms, bin_ms)
    cuts = np.searchsorted(due, edges)
    bins = [(begin, latency[a:b]) for begin, a, b in zip(edges, cuts, cuts[1:], strict=False) if b > a]
    quantiles = np.array([np.quantile(one, (0.5, 0.99, 1.0)) for _, one in bins]).T
    return Curve((np.array([begin for begin, _ in bins]) - due[0]) / 1000, *quantiles)
