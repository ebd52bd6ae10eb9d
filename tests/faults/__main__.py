"""`python -m tests.faults`: do faults to workers and brokers, and count what became of every record."""

import argparse
import random
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tests.faults.kinds import KINDS, Kind
from tests.faults.runner import LEDGER, run, write_down
from tests.faults.table import publish

Plan = Callable[[random.Random], Iterator[tuple[Kind, float]]]


def every_kind(times: int, only: Collection[str], *, exactly_once: bool) -> Plan:
    """Return a plan of every kind so many times, in an order of the seed; only those of some names if there are any."""

    def plan(rng: random.Random) -> Iterator[tuple[Kind, float]]:
        chosen = [kind for kind in KINDS if not only or kind.name in only]
        kinds = [kind for kind in chosen if exactly_once or not kind.exactly_once_only] * times
        rng.shuffle(kinds)
        yield from ((kind, rng.random()) for kind in kinds)

    return plan


def by_weight(minutes: float, pause_s: tuple[float, float], *, exactly_once: bool) -> Plan:
    """Return a plan of random kinds for so many minutes, with a pause before each."""

    def plan(rng: random.Random) -> Iterator[tuple[Kind, float]]:
        end_s = time.monotonic() + minutes * 60
        kinds = [kind for kind in KINDS if exactly_once or not kind.exactly_once_only]
        while time.monotonic() < end_s:
            (kind,) = rng.choices(kinds, [one.weight for one in kinds])
            yield kind, rng.uniform(*pause_s)

    return plan


def main() -> int:
    """Run what the command line says; 0 when every law held."""
    options = parsed()
    if options.command == "table":
        publish(options.ledger)
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    held = True
    for guarantee in options.guarantee:
        exactly_once = guarantee == "exactly_once_v2"
        if options.command == "every":
            plan = every_kind(options.times, options.only, exactly_once=exactly_once)
        else:
            plan = by_weight(options.minutes, (options.pause[0], options.pause[1]), exactly_once=exactly_once)
        made = run(guarantee, plan, rate=options.rate, seed=seed)
        write_down(made, options.ledger)
        print(f"{guarantee}: {len(made.injections)} faults in {made.minutes:.1f} minutes", flush=True)
        held = held and not made.broken
    return 0 if held else 1


def parsed() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    every = commands.add_parser("every", help="every kind of fault, so many times")
    every.add_argument("--times", type=int, default=2)
    every.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS], default=[], metavar="KIND")
    soak = commands.add_parser("soak", help="random faults for some minutes")
    soak.add_argument("--minutes", type=float, default=60.0)
    soak.add_argument("--pause", type=float, nargs=2, default=(20.0, 40.0), metavar=("LEAST", "MOST"))
    table = commands.add_parser("table", help="write the ledger's sums into docs/guarantees.md")
    for command in (every, soak):
        command.add_argument("--guarantee", nargs="+", default=["exactly_once_v2", "at_least_once"])
        command.add_argument("--rate", type=int, default=2_000, help="events a second")
        command.add_argument("--seed", type=int, help="default: any")
    for command in (every, soak, table):
        command.add_argument("--ledger", type=Path, default=LEDGER)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
