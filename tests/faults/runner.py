"""One run: faults one after the other, each until everything that had come before it is answered; then the verdict."""

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Message

from tests.checker.bounds import progress, shutdown, stable_moves
from tests.checker.once import one_owner
from tests.checker.reading import each_of
from tests.checker.transactions import read_commits
from tests.end_to_end.events import EVENT, PREDICTION
from tests.end_to_end.job import WIDTH, Job
from tests.faults.field import TRANSACTION_S, Committed, Field, NotDoneError, StuckError, open_field
from tests.faults.kinds import Kind
from tests.faults.reader import ReadingAlong, Seen, differences, seen
from tests.faults.verdict import Inputs, Judge, Verdict

STABLE_WITHIN_S = 15.0
GRACE_S = 40.0
LONG_S = 2.0
LEDGER = Path(__file__).with_name("ledger.jsonl")


@dataclass(slots=True)
class Injection:
    """One fault: what it did, how long until everything before it was answered, and what became of the records then."""

    kind: str
    said: str
    recovery_s: float
    start: Committed
    stop: Committed
    records: int = 0
    lost: int = 0
    duplicated: int = 0
    must_flow: bool = False


@dataclass(slots=True)
class Run:
    """What one run did and found; `broken` are sentences, none when everything held."""

    guarantee: str
    seed: int
    minutes: float = 0.0
    injections: list[Injection] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    broken: list[str] = field(default_factory=list)
    own_ends: Sequence[int] = ()


def run(guarantee: str, plan: Callable[[random.Random], Iterator[tuple[Kind, float]]], *, rate: int, seed: int) -> Run:
    """Do the faults of a plan, each after a pause in seconds, and judge; a run that breaks a law keeps its logs."""
    rng = random.Random(seed)
    made = Run(guarantee, seed)
    folder = Path(tempfile.mkdtemp(prefix="stream-infer-faults-"))
    began_s = time.monotonic()
    print(f"{guarantee}, seed {seed}, {rate} events/s, logs in {folder}", flush=True)
    with open_field(guarantee, rate=rate, rng=rng, folder=folder) as ground:
        along = ReadingAlong(ground.job.bootstrap_servers, ground.job.output)
        try:
            with along.running():
                _inject_all(ground, plan(rng), made)
                _finish(ground)
            _judge(ground, made, along)
            made.own_ends = ground.own_ends
        except StuckError as error:
            made.broken.append(str(error))
            ground.ask_what_runs()
        if made.broken:
            shutil.copytree(ground.brokers.logs(), folder / "brokers", ignore=shutil.ignore_patterns("data"))
    made.minutes = (time.monotonic() - began_s) / 60
    if made.broken:
        (folder / "run.json").write_text(json.dumps(asdict(made), indent=1), encoding="utf-8")
        print(f"BROKEN, everything is kept in {folder}:", *made.broken, sep="\n  ", file=sys.stderr, flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return made


def _inject_all(ground: Field, plan: Iterable[tuple[Kind, float]], made: Run) -> None:
    for number, (kind, pause_s) in enumerate(plan, start=1):
        ground.pause(pause_s)
        ground.tend()
        start, goal = _committed(ground), ground.until_ends()
        began_s = time.monotonic()
        try:
            said = kind.inject(ground)
        except NotDoneError as error:
            print(f"{number:4} {kind.name}: not done: {error}", flush=True)
            continue
        try:
            ground.until(lambda: ground.is_past(goal), what=f"recovery from: {kind.name} ({said})")  # noqa: B023 - used at once
        finally:
            recovery_s = time.monotonic() - began_s
            print(f"{number:4} {kind.name}: {said}: {recovery_s:.1f} s, {ground.flow.sent:,} sent", flush=True)
        made.injections.append(
            Injection(
                kind.name,
                said,
                recovery_s,
                start,
                _committed(ground),
                must_flow=kind.keeps_quorum and recovery_s > LONG_S,
            )
        )


def _finish(ground: Field) -> None:
    """Let everything be answered, then drain the workers."""
    ground.flow.end()
    goal = ground.until_ends()
    ground.until(lambda: ground.is_past(goal), what="everything is committed")
    for slot in list(ground.slots.values()):
        ground.leave(slot)


def _committed(ground: Field) -> Committed:
    found: list[Committed] = []

    def ask() -> bool:
        committed = ground.committed()
        found.extend([committed] if committed is not None else [])
        return bool(found)

    ground.until(ask, what="the committed offsets are known")
    return found[0]


def _judge(ground: Field, made: Run, along: ReadingAlong) -> None:
    judge, afterwards = read_all(ground.job)
    made.verdict = judge.end()
    for one in made.injections:
        one.records, one.lost, one.duplicated = judge.within(one.start, one.stop)
    made.broken += ground.wrong_exits
    found = [
        *stable_moves(ground.samples, within_s=TRANSACTION_S + STABLE_WITHIN_S),
        *shutdown(ground.shutdowns, within_s=GRACE_S),
        *progress({f"{one.kind} ({one.said})": one.records for one in made.injections if one.must_flow}),
    ]
    exactly_once = made.guarantee == "exactly_once_v2"
    if exactly_once:
        found += one_owner(read_commits(ground.job.bootstrap_servers, ground.job.application_id))
    made.broken += [f"{one.law}: {one.found}" for one in found]
    made.broken += differences(along.seen, afterwards) if exactly_once else []
    made.broken += made.verdict.broken(exactly_once=exactly_once)
    print(made.verdict.sentence(), flush=True)


def read_all(job: Job) -> tuple[Judge, dict[int, list[Seen]]]:
    """Return the judge of everything that a job's topics hold, and the output as a reader of it remembers it."""
    servers = job.bootstrap_servers
    judge = Judge(Inputs(each_of(servers, job.input), EVENT.decoder(), width=WIDTH), job.references)
    remembered: dict[int, list[Seen]] = {}

    def noted() -> Iterator[Message]:
        for message in each_of(servers, job.output):
            remembered.setdefault(int(message.partition() or 0), []).append(seen(message))
            yield message

    judge.predictions(noted(), PREDICTION.decoder())
    judge.dead_letters(each_of(servers, job.dead_letter))
    return judge, remembered


def write_down(made: Run, ledger: Path = LEDGER) -> None:
    """Append a run to the ledger."""
    kinds = sorted({one.kind for one in made.injections})
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "guarantee": made.guarantee,
        "seed": made.seed,
        "minutes": round(made.minutes, 1),
        "records": made.verdict.records,
        "lost": made.verdict.lost,
        "duplicated": made.verdict.duplicated,
        "out_of_order": made.verdict.out_of_order,
        "wrong": made.verdict.wrong + made.verdict.phantoms,
        "broken": len(made.broken),
        "ended_by_themselves": len(made.own_ends),
        "faults": {kind: _summed([one for one in made.injections if one.kind == kind]) for kind in kinds},
    }
    with ledger.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def _summed(injections: Sequence[Injection]) -> dict[str, object]:
    return {
        "injections": len(injections),
        "records": sum(one.records for one in injections),
        "lost": sum(one.lost for one in injections),
        "duplicated": sum(one.duplicated for one in injections),
        "recovery_s": [round(one.recovery_s, 1) for one in injections],
    }
