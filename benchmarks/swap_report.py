"""What swaps did to the latency, as text for docs/benchmarks.md and as a plot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import origin
from benchmarks.stats import Spread
from benchmarks.windows import Arrivals, Latencies, Phase, Span, Swap, curve

BIN_MS = 100.0
GOAL = 1.2
PHASES_HEAD = [
    f"In which state of the new version events are slow, that is, take longer than {GOAL:g} times the steady p99:",
    "",
    "| events/s | state | s | p50 ms | p99 ms | slow, of the events of the state | of all that are slow |",
    "|---|---|---|---|---|---|---|",
]


@dataclass(frozen=True, slots=True)
class RateFigures:
    """What one rate came to; `sender_late_ms` is the p99 of how late the sender itself was.

    `host` is a sentence on what the host took meanwhile.
    """

    events_per_s: int
    share_of_maximum: float
    swaps: int
    to_active_s: Spread
    steady: Latencies
    swapping: Latencies
    phases: Sequence[Phase]
    sender_late_ms: float
    host: str
    unanswered: int

    @property
    def ratio(self) -> float:
        """The p99 in swap windows over that in steady ones."""
        return self.swapping.p99_ms / self.steady.p99_ms


@dataclass(frozen=True, slots=True)
class SwapFigures:
    """What a session came to; the plot lies beside the results."""

    format: str
    model_mb: float
    workers: int
    maximum_per_s: float
    rates: Sequence[RateFigures]
    plot: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One panel of the plot."""

    title: str
    arrivals: Arrivals
    swaps: Sequence[Swap]
    steady: Sequence[Span]


def text(found: SwapFigures, *, about: Mapping[str, str], command: str) -> str:
    """Return the section as Markdown."""
    head = (
        f"Two versions of {found.model_mb:.0f} MB each, format {found.format}, in turn; "
        f"{_counted(found.workers, 'worker')}, 4 partitions, nothing kept for a rollback, so that each swap is a load. "
        f"The maximum, measured before, is {found.maximum_per_s:,.0f} events/s."
    )
    table = [
        "| events/s | window | events | p50 ms | p99 ms | p99.9 ms | most ms | median p99 of a window ms |",
        "|---|---|---|---|---|---|---|---|",
        *(line for rate in found.rates for line in _lines(rate)),
    ]
    plot = [f"![Latency over time across the swaps](../benchmarks/results/{found.plot})", ""] if found.plot else []
    sentences = [_sentence(rate) for rate in found.rates]
    states = [line for rate in found.rates for line in _phase_lines(rate)]
    return "\n".join([head, "", *table, "", *sentences, "", *PHASES_HEAD, *states, "", *plot, origin(about, command)])


def _lines(rate: RateFigures) -> Sequence[str]:
    name = f"{rate.events_per_s:,} ({rate.share_of_maximum:.0%} of the maximum)"
    return [_line(name, "steady", rate.steady), _line(name, "swaps", rate.swapping)]


def _line(name: str, window: str, one: Latencies) -> str:
    numbers = (one.p50_ms, one.p99_ms, one.p999_ms, one.max_ms, one.window_p99_ms)
    return f"| {name} | {window} | {one.events:,} | {' | '.join(f'{number:.1f}' for number in numbers)} |"


def _phase_lines(rate: RateFigures) -> Iterator[str]:
    slow = sum(one.slow for one in rate.phases)
    for one in rate.phases:
        share = f"{one.slow / slow:.0%}" if slow else ""
        yield (
            f"| {rate.events_per_s:,} | {one.state} | {one.seconds:.2f} | {one.p50_ms:.1f} | {one.p99_ms:.1f} "
            f"| {one.slow / one.events:.1%} | {share} |"
        )


def _sentence(rate: RateFigures) -> str:
    verdict = "within" if rate.ratio <= GOAL else "above"
    active = rate.to_active_s
    return (
        f"- {rate.events_per_s:,} events/s: p99 in {rate.swaps} swaps is {rate.ratio:.2f} times that of the steady "
        f"windows, {verdict} the goal of {GOAL:g}. From a record to ACTIVE {active.median:.1f} s ({active.low:.1f} to "
        f"{active.high:.1f}). The sender was at most {rate.sender_late_ms:.1f} ms late for 99 % of its events; "
        f"{rate.unanswered} events were not answered. {rate.host}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def draw(panels: Sequence[Drawn], path: Path) -> bool:
    """Write the plot and return whether there is one: matplotlib comes with the extra `bench`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    figure = Figure(figsize=(12, 4 * len(panels)), layout="constrained")
    for panel, axes in zip(panels, figure.subplots(len(panels), squeeze=False)[:, 0], strict=True):
        _draw_panel(axes, panel)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    return True


def _draw_panel(axes: Any, panel: Drawn) -> None:
    found = curve(panel.arrivals, bin_ms=BIN_MS)
    start_ms = panel.arrivals.due_ms.min()
    for label, values, colour in (
        ("most", found.max_ms, "0.75"),
        ("p99", found.p99_ms, "tab:orange"),
        ("p50", found.p50_ms, "tab:blue"),
    ):
        axes.plot(found.at_s, values, color=colour, linewidth=0.9, label=f"{label} of {BIN_MS:g} ms")
    for number, one in enumerate(panel.swaps):
        begin_s, active_s = ((at_ms - start_ms) / 1000 for at_ms in (one.told_ms, one.active_ms))
        axes.axvspan(begin_s, active_s, color="tab:red", alpha=0.15, label=None if number else "record to ACTIVE")
    for number, span in enumerate(panel.steady):
        begin_s, end_s = ((at_ms - start_ms) / 1000 for at_ms in (span.begin_ms, span.end_ms))
        axes.axvspan(begin_s, end_s, color="tab:green", alpha=0.1, label=None if number else "steady window")
    axes.set(title=panel.title, xlabel="seconds", ylabel="milliseconds, end to end", yscale="log")
    axes.legend(loc="upper right", ncols=5, fontsize="small")
