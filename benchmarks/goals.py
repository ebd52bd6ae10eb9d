"""What the figures are held against: ratios of medians, each to a bound. Pure."""

from collections.abc import Iterable, Sequence
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
    rate = {(row.batch, row.name): row.events_per_s.median for row in rows}
    found: list[Goal] = []
    for row in rows:
        against = {name: rate[row.batch, name] for name in (PLAIN, TUNED, FAUST, WORKER) if (row.batch, name) in rate}
        if row.name == WORKER:
            found += _worker_goals(row, against)
        elif row.name == EXACT and WORKER in against:
            name = f"exactly once of at least once, batch {row.batch}"
            found.append(Goal(name, row.events_per_s.median / against[WORKER], 0.9))
    return found


def _worker_goals(row: Row, against: dict[str, float]) -> list[Goal]:
    rate, at = row.events_per_s.median, f"batch {row.batch}"
    found = []
    if TUNED in against:
        found.append(Goal(f"of the tuned loop's rate, {at}", rate / against[TUNED], 0.95))
    if row.cpu_to_tuned is not None:
        found.append(Goal(f"of the tuned loop's CPU per event, {at}", row.cpu_to_tuned.median, 1.15, at_least=False))
    if PLAIN in against and row.batch == MIDDLE:
        found.append(Goal(f"of the plain loop's rate, {at}", rate / against[PLAIN], 1.5))
    if FAUST in against:
        found.append(Goal(f"of stock Faust's rate, {at}", rate / against[FAUST], 60.0))
    return found


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
