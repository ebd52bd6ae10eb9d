"""What the figures are held against: ratios of medians, each to a bound. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.competitors import AIOKAFKA, EXACT, FAUST, PLAIN, TUNED, WORKER
from benchmarks.speed_report import Row

MIDDLE = 512


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure and its bound: at least, or at most."""

    name: str
    found: float
    bound: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps the bound."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def line(self) -> str:
        """Return the figure, its bound and the verdict as one line of Markdown."""
        word = "at least" if self.at_least else "at most"
        verdict = "met" if self.is_met else "**not met**"
        return f"- {self.name}: {self.found:.2f}, goal {word} {self.bound:g}: {verdict}."


def speed_goals(rows: Iterable[Row]) -> list[Goal]:
    """Return the goals of the rows that are there: against the loops, stock Faust, and between the guarantees."""
    return [goal for row in rows if row.name in {WORKER, EXACT} for goal in _row_goals(row)]


def _row_goals(row: Row) -> Iterator[Goal]:
    at = f"batch {row.batch}"
    rate = {name: found.median for name, found in row.rate_to.items()}
    if row.name == EXACT:
        if WORKER in rate:
            yield Goal(f"exactly once of at least once, {at}", rate[WORKER], 0.9)
        return
    if TUNED in rate:
        yield Goal(f"of the tuned loop's rate, {at}", rate[TUNED], 0.95)
        yield Goal(f"of the tuned loop's CPU per event, {at}", row.cpu_to[TUNED].median, 1.15, at_least=False)
    if PLAIN in rate and row.batch == MIDDLE:
        yield Goal(f"of the plain loop's rate, {at}", rate[PLAIN], 1.5)
    if FAUST in rate:
        yield Goal(f"of stock Faust's rate, {at}", rate[FAUST], 60.0)


@dataclass(frozen=True, slots=True)
class Timed:
    """The medians of one competitor at one rate, milliseconds."""

    name: str
    delay_ms: int | None
    p50_ms: float
    p99_ms: float


def latency_goals(timed: Sequence[Timed]) -> list[Goal]:
    """Return the goals at one rate: without a delay against the aiokafka loop, with 5 ms against none."""
    base = next((one for one in timed if one.name == AIOKAFKA), None)
    at_once = next((one for one in timed if one.delay_ms == 0), None)
    delayed = next((one for one in timed if one.delay_ms == 5), None)
    found: list[Goal] = []
    if base and at_once:
        name = "of the aiokafka loop's, no delay"
        found += [
            Goal(f"p50 {name}", at_once.p50_ms / base.p50_ms, 1.2, at_least=False),
            Goal(f"p99 {name}", at_once.p99_ms / base.p99_ms, 1.2, at_least=False),
        ]
    if at_once and delayed:
        found += [
            Goal("p50 that a delay of 5 ms adds, ms", delayed.p50_ms - at_once.p50_ms, 3.0, at_least=False),
            Goal("p99 that a delay of 5 ms adds, ms", delayed.p99_ms - at_once.p99_ms, 5.0, at_least=False),
        ]
    return found
