"""Latencies inside stretches of time: in swaps, and in steady stretches of the same length between them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in milliseconds since 1970."""

    begin_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap: when its record was appended, and when the last worker had said that the version is ACTIVE."""

    revision: int
    version: str
    told_ms: float
    active_ms: float


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
