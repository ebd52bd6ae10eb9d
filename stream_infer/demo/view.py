"""The standing for a person: a live table on a terminal, lines elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stream_infer.demo.score import Standing

LIVE_INTERVAL_S: Final = 0.25
LINE_INTERVAL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the table."""

    name: str
    text: str


class View(Protocol):
    """Where a demo shows itself: used as a `with` block around the time while something changes."""

    interval_s: float
    """Seconds between two standings."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, sentence: str) -> None:
        """Say what happens next, or what it came to."""
        ...

    def show(self, standing: Standing) -> None:
        """Show the state at this moment."""
        ...


class Lines:
    """A line for each standing: for pipes, logs and --plain."""

    interval_s = LINE_INTERVAL_S

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the lines where they are."""

    def say(self, sentence: str) -> None:
        """Print a line as it is, however long."""
        self._console.print(sentence, soft_wrap=True, markup=False, highlight=False)
        self._console.file.flush()

    def show(self, standing: Standing) -> None:
        """Print one line of names and values."""
        facts = "  ".join(f"{fact.name} {fact.text}" for fact in facts_of(standing))
        self.say(f"{standing.seconds:5.1f} s  {facts}")


class LiveTable:
    """A table that is redrawn in place."""

    interval_s = LIVE_INTERVAL_S

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, sentence: str) -> None:
        """Print a line above the table."""
        self._console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    def show(self, standing: Standing) -> None:
        """Redraw the table."""
        table = Table(title=f"stream-infer demo, {standing.seconds:.0f} s", show_header=False)
        for fact in facts_of(standing):
            table.add_row(fact.name, fact.text)
        self._live.update(table, refresh=True)


def view_for(console: Console, *, plain: bool) -> View:
    """Return a live table on a terminal, lines elsewhere or where `plain` is wanted."""
    return Lines(console) if plain or not console.is_terminal else LiveTable(console)


def facts_of(standing: Standing) -> Iterator[Fact]:
    """Yield what a standing says, name and value."""
    latency, batches = standing.latency, standing.batches
    yield Fact("events", f"{standing.events:,}")
    yield Fact("answered", f"{standing.predictions + standing.dead_letters:,}")
    yield Fact("rate", f"{standing.per_second:,.0f}/s")
    yield Fact("p50", f"{latency.p50_ms:.1f} ms")
    yield Fact("p99", f"{latency.p99_ms:.1f} ms")
    yield Fact("batch", f"{batches.mean_records:.1f} (p99 up to {batches.p99_records})")
    for accuracy in standing.accuracies:
        share = f"{accuracy.variant} {accuracy.of_all:.0%} of answers, {accuracy.share:.1%} right"
        yield Fact(f"version {accuracy.version}", share)


def summary(standing: Standing) -> Iterator[str]:
    """Yield the lines with which a demo ends."""
    latency, batches = standing.latency, standing.batches
    yield (
        f"{standing.events:,} events: {standing.predictions:,} predictions, {standing.dead_letters:,} dead letters, "
        f"{standing.unanswered:,} unanswered, {standing.repeated:,} repeated"
    )
    yield f"{standing.per_second:,.0f} events/s over {standing.seconds:.1f} s"
    yield f"latency from event to prediction: p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms"
    if (rolling := standing.while_rolling) is not None:
        yield f"while versions were tried and swapped: p50 {rolling.p50_ms:.1f} ms, p99 {rolling.p99_ms:.1f} ms"
    yield (
        f"{batches.batches:,} batches of {batches.mean_records:.1f} records on average, "
        f"99 % of them up to {batches.p99_records}"
    )
    for accuracy in standing.accuracies:
        yield (
            f"version {accuracy.version}, {accuracy.variant}: {accuracy.right:,} of {accuracy.predictions:,} digits "
            f"right, {accuracy.share:.1%}"
        )
