"""Any sequence of control records, with restarts, slow loads and failures in between: what always holds."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.model import LoadedVersion, load_version, open_device
from stream_infer.rollout.fold import Entry, Folded, fold
from stream_infer.rollout.record import Desired
from stream_infer.testing.clock import HandClock
from stream_infer.testing.models import write_mlp
from tests.rollout.world import APPLICATION, DIFFERENT, MODEL, Served, Worker, digest_of, named

WORKERS = 3


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    made = write_mlp(tmp_path_factory.mktemp("models"), sizes=(4, 8, 2))
    return load_version(made.path, device=open_device("cpu"), batch_size=8)


@dataclass(frozen=True, slots=True)
class Say:
    """Somebody appends a record."""

    value: bytes
    key: bytes | None = MODEL.encode()


@dataclass(frozen=True, slots=True)
class Replay:
    """Somebody appends an earlier record again."""

    which: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes."""

    seconds: float


class Do(Enum):
    """What happens to one worker."""

    HEAR = "it reads a record"
    TURN = "it decides"
    LOAD = "its load takes a step"
    ANSWER = "its compute thread does what it was asked"
    FAIL = "its load fails"
    TRIP = "its canary trips"
    RESTART = "it is killed and starts again"


@dataclass(frozen=True, slots=True)
class To:
    """One worker, and what happens to it, so often."""

    worker: int
    do: Do
    times: int = 1


@dataclass(frozen=True, slots=True)
class Rounds:
    """One worker goes on for a while, undisturbed."""

    worker: int
    count: int


Action = Say | Replay | Wait | To | Rounds


@dataclass(slots=True)
class World:
    """A control log and the workers that follow it."""

    template: LoadedVersion
    broken: frozenset[str] = frozenset()
    log: list[Entry] = field(default_factory=list)
    clock: HandClock = field(default_factory=HandClock)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        make = {"template": self.template, "broken": self.broken, "clock": self.clock}
        self.workers = [Worker(self.log, **make) for _ in range(WORKERS)]  # type: ignore[arg-type]

    def act(self, action: Action) -> None:
        match action:
            case Say(value, key):
                self.log.append(Entry(len(self.log), key, value, 0))
            case Replay(which) if self.log:
                again = self.log[which % len(self.log)]
                self.log.append(Entry(len(self.log), again.key, again.value, 0))
            case Wait(seconds):
                self.clock.now_s += seconds
            case Rounds(worker, count):
                for _ in range(count):
                    self.workers[worker].round()
            case To(worker, do, times):
                for _ in range(times):
                    deed(self.workers[worker], do)()

    def settle(self) -> None:
        for worker in self.workers:
            worker.settle()

    def restart(self) -> None:
        for worker in self.workers:
            worker.restart()

    @property
    def served(self) -> list[Served | None]:
        return [worker.served for worker in self.workers]

    @property
    def folded(self) -> Folded:
        return reduce(lambda folded, entry: fold(folded, entry)[0], self.log, Folded(MODEL, APPLICATION))


def deed(worker: Worker, do: Do) -> Callable[[], None]:
    return {
        Do.HEAR: lambda: worker.hear(1),
        Do.TURN: worker.turn,
        Do.LOAD: worker.loader.step,
        Do.ANSWER: worker.engine.step,
        Do.FAIL: lambda: worker.loader.step(fails=True),
        Do.TRIP: worker.trip,
        Do.RESTART: worker.restart,
    }[do]


def lived(template: LoadedVersion, story: list[Action], *, broken: frozenset[str] = frozenset()) -> World:
    """Return the world after a story."""
    world = World(template, broken)
    for action in story:
        world.act(action)
    return world


NAMES = st.sampled_from("1234")
REFS = st.builds(
    lambda name, *, is_pinned: {"version": name} | ({"sha256": digest_of(name)} if is_pinned else {}),
    NAMES,
    is_pinned=st.booleans(),
)
CANARIES = st.builds(lambda ref, percent: ref | {"percent": percent}, REFS, st.sampled_from([0, 0.01, 20, 100]))


def said(**fields: Any) -> Say:
    return Say(json.dumps({"model": MODEL} | {name: value for name, value in fields.items() if value}).encode())


VALID = st.builds(
    said,
    stable=REFS,
    canary=st.none() | CANARIES,
    prepared=st.lists(REFS, max_size=2),
    revision=st.none() | st.integers(1, 12),
    allow_output_change=st.booleans(),
)
INVALID = st.sampled_from(
    [
        Say(b"{"),
        Say(b"{}", None),
        said(stable={"version": "../2"}),
        said(stable={"version": "2"}, requires=["telepathy"]),
        Say(b'{"model":"churn","stable":{"version":"9"}}', b"churn"),
    ]
)
ONE = st.integers(0, WORKERS - 1)
CALM = st.one_of(
    VALID,
    VALID,
    INVALID,
    st.builds(Replay, st.integers(0, 20)),
    st.builds(Wait, st.sampled_from([1.0, 200.0, 400.0])),
    st.builds(Rounds, ONE, st.integers(1, 12)),
    st.builds(Rounds, ONE, st.integers(1, 12)),
    st.builds(To, ONE, st.sampled_from([Do.TURN, Do.LOAD, Do.ANSWER]), st.integers(1, 4)),
    st.builds(To, ONE, st.just(Do.HEAR), st.integers(1, 3)),
    st.builds(To, ONE, st.just(Do.RESTART)),
)
WILD = CALM | st.builds(To, ONE, st.sampled_from([Do.FAIL, Do.TRIP]))
UNLIKE = st.builds(
    lambda name, *, is_free: said(stable={"version": name}, allow_output_change=is_free),
    st.sampled_from("1256"),
    is_free=st.booleans(),
)
BROKEN = st.frozensets(st.sampled_from("234"), max_size=3)


NOTHING_YET: list[Action] = []
A_CANARY_TRIPPED: list[Action] = [
    said(stable={"version": "1"}, canary={"version": "2", "percent": 20}),
    To(0, Do.HEAR),
    Rounds(0, 30),
    To(0, Do.TRIP),
]
A_LOAD_FAILED: list[Action] = [
    *(Rounds(0, 30), said(stable={"version": "2"}), To(0, Do.HEAR)),
    *(To(0, Do.TURN, 3), To(0, Do.FAIL), To(0, Do.TURN)),
]


def stories(actions: st.SearchStrategy[Action], *beginnings: list[Action]) -> st.SearchStrategy[list[Action]]:
    beginning = st.sampled_from([NOTHING_YET, *beginnings])
    return st.builds(list.__add__, beginning, st.lists(actions, max_size=40))


@given(story=stories(WILD, A_CANARY_TRIPPED, A_LOAD_FAILED), broken=BROKEN)
@settings(deadline=None)
def test_whatever_happens_only_versions_that_are_ready_serve_and_every_worker_comes_to_rest(
    template: LoadedVersion, story: list[Action], broken: frozenset[str]
) -> None:
    world = lived(template, story, broken=broken)
    world.settle()
    assert all(worker.follower.folded == world.folded for worker in world.workers)
    for worker in world.workers:
        tripped, served = worker.follower.tripped, worker.served
        assert served is None or not {served.stable, served.canary} & broken
        assert served is None or tripped is None or served.revision != tripped.revision or served.canary is None


@given(story=stories(CALM))
@settings(deadline=None)
def test_workers_that_read_the_same_log_serve_what_it_names_and_so_they_do_after_a_restart(
    template: LoadedVersion, story: list[Action]
) -> None:
    world = lived(template, story)
    for _ in range(2):
        world.settle()
        assert world.served == [named(world.folded.current)] * WORKERS
        assert all(worker.follower.is_in_step() for worker in world.workers)
        world.restart()


@given(story=stories(CALM), broken=BROKEN)
@settings(deadline=None)
def test_a_restart_comes_to_the_newest_stable_version_that_is_not_broken(
    template: LoadedVersion, story: list[Action], broken: frozenset[str]
) -> None:
    world = lived(template, story, broken=broken)
    world.restart()
    world.settle()
    states = [one.desired for one in reversed(world.folded.history) if one.desired.stable.version not in broken]
    good = named(next(iter(states), None))
    for worker in world.workers:
        assert worker.served is not None
        assert (worker.served.revision, worker.served.stable) == (good.revision, good.stable)
        assert worker.follower.is_in_step()
        assert (worker.follower.skew is None) == (worker.served == named(world.folded.current))


def accepted(folded: Folded) -> Desired | None:
    """Return the newest state whose version may follow those before it, as a person would say it."""
    good: Desired | None = None
    let_differ = {
        ref.version
        for desired in (one.desired for one in folded.history if one.desired.allow_output_change)
        for ref in (desired.stable, *desired.prepared, *([desired.canary.ref] if desired.canary else []))
    }
    for desired in (one.desired for one in folded.history):
        name = desired.stable.version
        if good is None or name in let_differ or (name in DIFFERENT) == (good.stable.version in DIFFERENT):
            good = desired
    return good


@given(story=stories(CALM | UNLIKE | UNLIKE).map(lambda story: [said(stable={"version": "1"}), *story]))
@settings(deadline=None)
def test_a_restart_comes_to_the_newest_version_whose_outputs_mean_what_was_meant_before(
    template: LoadedVersion, story: list[Action]
) -> None:
    world = lived(template, story)
    world.restart()
    world.settle()
    good = named(accepted(world.folded))
    for worker in world.workers:
        assert worker.served is not None
        assert (worker.served.revision, worker.served.stable) == (good.revision, good.stable)


@given(story=stories(CALM | UNLIKE | UNLIKE).map(lambda story: [said(stable={"version": "1"}), *story]))
@settings(deadline=None)
def test_what_is_refused_on_one_worker_serves_on_none(template: LoadedVersion, story: list[Action]) -> None:
    world = lived(template, story)
    world.settle()
    good = named(accepted(world.folded))
    for worker in world.workers:
        assert worker.served is not None
        is_newest = worker.served.revision == world.folded.revision
        assert is_newest == (good.revision == world.folded.revision)


@given(story=stories(WILD, A_CANARY_TRIPPED, A_LOAD_FAILED), broken=BROKEN, name=NAMES)
@settings(deadline=None)
def test_what_is_broken_or_failed_once_keeps_no_worker_from_a_newer_revision(
    template: LoadedVersion, story: list[Action], broken: frozenset[str], name: str
) -> None:
    world = lived(template, story, broken=broken - {name})
    world.act(said(stable={"version": name}, revision=99))
    world.settle()
    assert world.served == [Served(99, name)] * WORKERS
