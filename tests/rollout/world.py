"""Workers that follow one control log, each with a loader and a compute thread that take their time.

The follower is the real one; what it asks of the rest of the worker is checked here, where the rest would do it.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256

from stream_infer.errors import Stop
from stream_infer.model import InferenceFailed, LoadedVersion
from stream_infer.model.lifecycle import State
from stream_infer.model.serving import Serving
from stream_infer.rollout.fold import Entry
from stream_infer.rollout.follow import Follower
from stream_infer.rollout.ports import Loaded, LoadEvent, LoadFailed, LoadJob, Origins, Stage
from stream_infer.rollout.record import Desired, VersionRef
from stream_infer.rollout.table import STARTED
from stream_infer.testing.clock import HandClock

MODEL = "fraud"
APPLICATION = "scoring"
BASELINE = VersionRef("1")
KEEP_S = 300.0
DIFFERENT = frozenset({"5", "6"})
"""Versions whose outputs mean something else than those of all others."""
FAILS_WHILE_WARMED = frozenset({"4"})
"""Versions that, when they are broken, are so only on the compute thread."""
ENOUGH = 300
"""Rounds after which a worker must have come to rest."""


def digest_of(name: str) -> str:
    """Return the digest that the version of this name has."""
    return sha256(name.encode()).hexdigest()


def meaning(before: tuple[VersionRef, ...]) -> bool | None:
    """Return whether what answered so far is one of the different; None when nothing did.

    With two meanings a version that did not mean the same as the one before never answered, so the first decides.
    """
    return next((ref.version in DIFFERENT for ref in before), None)


@dataclass(slots=True)
class Order:
    """A load that was asked for, and how far it is."""

    job: LoadJob
    tell: Callable[[LoadEvent], None]
    is_cancelled: bool = False
    done: int = 0


class SlowLoader:
    """Takes a step when the world says so. A load that was given up under way still tells what becomes of it."""

    def __init__(self, template: LoadedVersion, broken: frozenset[str]) -> None:
        self._template = template
        self._broken = broken
        self.orders: deque[Order] = deque()

    def start(self, job: LoadJob, tell: Callable[[LoadEvent], None]) -> None:
        """Queue a load; no two that are wanted are under way."""
        assert all(order.is_cancelled for order in self.orders)
        self.orders.append(Order(job, tell))

    def cancel(self) -> None:
        """Give up the newest load."""
        if self.orders:
            self.orders[-1].is_cancelled = True

    def step(self, *, fails: bool = False) -> None:
        """Take the oldest load a step further."""
        if not self.orders:
            return
        order = self.orders[0]
        name, order.done = order.job.ref.version, order.done + 1
        if order.is_cancelled and order.done == 1:
            self.orders.popleft()
        elif fails or (name in self._broken - FAILS_WHILE_WARMED and order.done > 1):
            self.orders.popleft()
            order.tell(LoadFailed(order.job, f"version {name} is broken"))
        elif order.done == 2 and is_refused(order.job):
            self.orders.popleft()
            order.tell(LoadFailed(order.job, f"version {name} answers otherwise"))
        elif order.done == 1:
            order.tell(Stage(order.job, State.VERIFYING, digest_of(name)))
        elif order.done == 2:
            order.tell(Stage(order.job, State.LOADING))
        else:
            self.orders.popleft()
            version = replace(self._template, version=name, digest=digest_of(name))
            order.tell(Loaded(order.job, version, lambda: None))


def is_refused(job: LoadJob) -> bool:
    """Return whether a version must not follow what answered so far."""
    if job.allow_output_change:
        return False
    expected = job.against.version in DIFFERENT if job.against else meaning(job.before)
    return expected not in {None, job.ref.version in DIFFERENT}


@dataclass(slots=True)
class Request:
    """Something that the compute thread was asked for."""

    answer: "Future[None]"
    do: Callable[[], None]

    def fulfil(self) -> None:
        """Do it, and say so."""
        try:
            self.do()
        except InferenceFailed as error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(None)


@dataclass(slots=True)
class SlowEngine:
    """Does one request when the world says so, in their order; refuses to serve what is not warm."""

    broken: frozenset[str] = frozenset()
    requests: deque[Request] = field(default_factory=deque)
    warmed: list[LoadedVersion] = field(default_factory=list)
    serving: Serving | None = None

    def warm(self, version: LoadedVersion) -> "Future[None]":
        """Warm a version when its turn comes."""
        return self._ask(lambda: self._warm(version))

    def serve(self, serving: Serving) -> "Future[None]":
        """Serve when its turn comes."""
        return self._ask(lambda: self._serve(serving))

    def release(self, version: LoadedVersion) -> "Future[None]":
        """Let a version go when its turn comes."""
        return self._ask(lambda: self._release(version))

    def step(self) -> None:
        """Do the oldest request."""
        if self.requests:
            self.requests.popleft().fulfil()

    def _ask(self, do: Callable[[], None]) -> "Future[None]":
        self.requests.append(Request(Future(), do))
        return self.requests[-1].answer

    def _warm(self, version: LoadedVersion) -> None:
        if version.version in self.broken & FAILS_WHILE_WARMED:
            raise InferenceFailed(f"version {version.version} is broken")
        self.warmed.append(version)

    def _serve(self, serving: Serving) -> None:
        for version in serving.versions:
            assert any(version is one for one in self.warmed), f"version {version.version} serves and is not warm"
        assert self.serving is None or serving.revision >= self.serving.revision
        self.serving = serving

    def _release(self, version: LoadedVersion) -> None:
        in_use = self.serving.versions if self.serving else ()
        assert not any(version is one for one in in_use), f"version {version.version} goes and still serves"
        self.warmed = [one for one in self.warmed if one is not version]


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker answers with; `seed` and `hundredths` are the canary's."""

    revision: int
    stable: str
    canary: str | None = None
    seed: str | None = None
    hundredths: int | None = None


def named(desired: Desired | None) -> Served:
    """Return what a state names."""
    if desired is None:
        return Served(0, BASELINE.version)
    canary = desired.canary
    beside = (canary.ref.version, canary.seed, canary.hundredths) if canary else ()
    return Served(desired.revision, desired.stable.version, *beside)


class Worker:
    """One worker of the world; `log` is the control topic, the same list for all."""

    def __init__(self, log: list[Entry], *, template: LoadedVersion, broken: frozenset[str], clock: HandClock) -> None:
        self._log = log
        self._template = template
        self._broken = broken
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Lose everything, and read the log to its end before anything is loaded."""
        self.loader = SlowLoader(self._template, self._broken)
        self.engine = SlowEngine(self._broken)
        self.follower = Follower(
            Origins(MODEL, APPLICATION, lambda: BASELINE),
            loader=self.loader,
            engine=self.engine,
            clock=self._clock,
            keep_previous_s=KEEP_S,
        )
        self.hear(len(self._log))

    def hear(self, count: int) -> None:
        """Read at most so many records."""
        unread = [entry for entry in self._log if entry.offset >= self.follower.folded.next_offset]
        self.follower.hear(unread[:count])

    def turn(self) -> None:
        """Let the follower decide; a worker that cannot go on is started again."""
        served_before = self.follower.serving is not None
        try:
            self.follower.turn()
        except Stop:
            assert not served_before
            self.restart()
            return
        self.check(served_before=served_before)
        self.follower.table.sweep()

    def round(self) -> None:
        """Let everything take a step."""
        self.turn()
        self.loader.step()
        self.engine.step()

    def settle(self) -> None:
        """Read what there is and come to rest."""
        self.hear(len(self._log))
        for _ in range(ENOUGH):
            before = self.follower.changes
            self.round()
            self.turn()
            is_idle = not (self.loader.orders or self.engine.requests or self.follower.has_news())
            if is_idle and self.follower.changes == before:
                return
        raise AssertionError("the worker does not come to rest")

    def trip(self) -> None:
        """Stop the canary, if there is one."""
        guard = self.engine.serving.guard if self.engine.serving else None
        if guard is not None:
            guard.fail("it failed on a whole batch")

    @property
    def served(self) -> Served | None:
        """What answers now."""
        serving = self.follower.serving
        if serving is None:
            return None
        canary = serving.canary
        beside = (canary.ref.version, canary.seed, canary.hundredths) if canary else ()
        return Served(serving.revision, serving.stable.version, *beside)

    def check(self, *, served_before: bool) -> None:
        """Assert what holds after every turn."""
        rows = list(self.follower.table)
        serving = self.follower.serving
        assert serving is not None or not served_before
        refs = {serving.stable, *([serving.canary.ref] if serving.canary else [])} if serving else set()
        assert {row.holding.ref for row in rows if row.state is State.ACTIVE} == refs
        assert len([row for row in rows if row.state in STARTED]) <= 1
        known = self.engine.serving
        assert serving is None or (known is not None and known.revision >= serving.revision)
        if self.follower.is_in_step() and self.follower.skew is None:
            assert self.served == named(self.follower.folded.current)
