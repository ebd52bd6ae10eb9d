"""All competitors on a real Kafka, in one interleaved session: `make bench`, with a heavier model `make bench-heavy`.

Every run is a process of its own with its own group and output topic; the order is A B C, C B A, A B C ..., so that
all meet the same machine. Writes benchmarks/results/latest.json, a plot, and the table in docs/benchmarks.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product

from benchmarks import plot, report, speed_report
from benchmarks.competitors import COMPETITORS, EXACT, FAUST, WORDS
from benchmarks.goals import speed_goals
from benchmarks.ground import (
    PARTITIONS,
    RESULTS,
    Ground,
    ground,
    loaded,
    new_task,
    numbers,
    parser,
    publish,
    repeat,
    say,
    topics_of,
    write_small,
)
from benchmarks.host import disturbance, undisturbed
from benchmarks.job import FEATURES
from benchmarks.sequence import LAYERS, TOKENS, Sequence128, call_ms, write_sequence
from benchmarks.warm import warm_transactions
from benchmarks.watch import Figures, Marks, RecordCount, run

SMALL, SEQUENCE = "small", "sequence"
STOCK_MARKS = Marks(begin=0.25)
"""Stock Faust answers few events, so its start is a larger share of them."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a model is measured with unless the options say otherwise."""

    part: str
    target: str
    sizes: str
    runners: str
    events: int
    features: int


DEFAULTS = {
    SMALL: Defaults("speed", "bench", "64,512,4096", "plain,tuned,faust,worker,exact", 1_000_000, FEATURES),
    SEQUENCE: Defaults("heavy", "bench-heavy", "16,32,64", "tuned,worker,exact", 100_000, TOKENS),
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The loaded topics: `few` is what stock Faust reads, which is 60 to 100 times slower."""

    many: tuple[str, int]
    few: tuple[str, int]

    def of(self, name: str) -> tuple[str, int]:
        """Return a competitor's topic and how many events it holds."""
        return self.few if name == FAUST else self.many


@dataclass(frozen=True, slots=True)
class Session:
    """The runs that count, by batch size and name, and how many were `made`."""

    runs: speed_report.Runs
    made: int


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--model", choices=list(DEFAULTS), default=SMALL)
    made.add_argument("--sizes", help="of batches, separated by commas")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--runners", help=f"some of {','.join(WORDS)}")
    made.add_argument("--events", type=int)
    made.add_argument("--stock-events", type=int, default=60_000, help="for stock Faust")
    options = made.parse_args()
    defaults = DEFAULTS[options.model]
    options.sizes = numbers(options.sizes or defaults.sizes)
    options.names = chosen(options.runners or defaults.runners)
    options.events = options.events or defaults.events
    return options


def chosen(words: str) -> list[str]:
    """Return who takes part. Raises SystemExit for a word that names nobody."""
    unknown = [word for word in words.split(",") if word not in WORDS]
    if unknown:
        raise SystemExit(f"--runners names {unknown[0]}, expected some of {', '.join(WORDS)}")
    return [WORDS[word] for word in words.split(",")]


def measure(name: str, batch: int, found: Ground, sources: Sources) -> Figures:
    """Run one competitor once."""
    source, events = sources.of(name)
    with topics_of(found.bootstrap_servers) as topics:
        task = new_task(topics, found, source=source, batch=batch)
        count = RecordCount(found.bootstrap_servers, task.output)
        marks = STOCK_MARKS if name == FAUST else None
        return run(COMPETITORS[name](task), count=count, events=events, marks=marks)


def warm_up(options: argparse.Namespace, found: Ground, sources: Sources) -> None:
    """Run everybody once for nobody, and make transactions: a broker is slow until Java has compiled it."""
    for name in options.names:
        say(f"warming the broker up: {name}")
        measure(name, max(options.sizes), found, sources)
    if EXACT in options.names:
        with topics_of(found.bootstrap_servers) as topics:
            output = topics.create("bench-warm", partitions=PARTITIONS)
            source, _ = sources.many
            warm_transactions(found.bootstrap_servers, source=source, output=output, partitions=PARTITIONS, say=say)


def turns(rounds: int, sizes: Sequence[int], names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Give round, batch size and name of each run; every other round goes backwards.

    So nobody always comes behind the same other, whose topics the broker is still deleting.
    """
    for number in range(rounds):
        order = list(product(sizes, names))
        yield from ((number, *one) for one in (reversed(order) if number % 2 else order))


def interleaved(options: argparse.Namespace, found: Ground, sources: Sources) -> Session:
    """Run everybody once a round."""
    runs: defaultdict[tuple[int, str], list[Figures]] = defaultdict(list)
    made = 0
    for number, batch, name in turns(options.rounds, options.sizes, options.names):
        one, tries = undisturbed(partial(measure, name, batch, found, sources))
        runs[batch, name].append(one)
        made += tries
        what = f"round {number + 1} of {options.rounds}: {name}, batch {batch}: {one.events_per_s:,.0f} events/s"
        again = f", the {tries} tries" if tries > 1 else ""
        say(f"{what}; the host took {one.stolen:.1%} of the cores{again}")
    return Session(runs, made)


def session(options: argparse.Namespace, found: Ground) -> Session:
    """Load the topics and run the rounds."""
    features = DEFAULTS[options.model].features
    with topics_of(found.bootstrap_servers) as topics:
        many = loaded(topics, found, events=options.events, features=features), options.events
        few = many
        if FAUST in options.names:
            few = loaded(topics, found, events=options.stock_events, features=features), options.stock_events
        sources = Sources(many, few)
        warm_up(options, found, sources)
        return interleaved(options, found, sources)


def head(options: argparse.Namespace, call: Mapping[int, float], made: Session) -> list[str]:
    """Return what was run, as sentences."""
    counted = [one for found in made.runs.values() for one in found]
    stock = f" ({options.stock_events:,} for stock Faust)" if FAUST in options.names else ""
    about = (
        f"{options.events:,} events{stock} in 4 partitions, {options.rounds} interleaved rounds: medians, and lowest "
        f"to highest; ratios compare runs of one round. {disturbance(counted, made=made.made)}"
    )
    if call:
        taken = ", ".join(f"{ms:.1f} ms for {size}" for size, ms in call.items())
        about += (
            f" The model is {LAYERS} transformer encoder layers on {TOKENS} tokens. Alone on one thread, before "
            f"the session, a call took {taken}."
        )
    return [about, ""]


def text(options: argparse.Namespace, made: Session, call: Mapping[int, float], about: dict[str, str]) -> str:
    """Return the section as Markdown."""
    rows = speed_report.rows(made.runs)
    defaults = DEFAULTS[options.model]
    drawn = RESULTS.parent / f"{defaults.part}.png"
    is_drawn = not options.print_only and plot.draw_speed(rows, drawn)
    if not is_drawn:
        say("there is no plot: it takes the extra bench (matplotlib), and no --print-only")
    verdicts = [goal.line() for goal in speed_goals(rows)] if options.model == SMALL else speed_report.busy_lines(rows)
    picture = [f"![Events per second](../benchmarks/results/{drawn.name})", ""] if is_drawn else []
    return "\n".join(
        [
            *head(options, call, made),
            *speed_report.lines(rows),
            "",
            *verdicts,
            "",
            *picture,
            report.origin(about, repeat(defaults.target, implied=("--model", options.model))),
        ]
    )


def main() -> None:
    options = parse()
    call: Mapping[int, float] = {}
    with ExitStack() as stack:
        write = write_sequence if options.model == SEQUENCE else write_small
        found = stack.enter_context(ground(options, write=write))
        if options.model == SEQUENCE:
            call = call_ms(Sequence128().eval(), options.sizes, features=TOKENS)
        made = session(options, found)
        about = found.about()
    listed = [{"batch": batch, "name": name, "runs": one} for (batch, name), one in made.runs.items()]
    publish(
        DEFAULTS[options.model].part,
        text(options, made, call, about),
        {
            "about": about,
            "events": options.events,
            "call_ms": call,
            "rows": speed_report.rows(made.runs),
            "runs": listed,
            "made": made.made,
        },
        options=options,
    )


if __name__ == "__main__":
    main()
