"""Follow: what the control log says should serve becomes what serves, a step a turn.

One thread drives it. It never blocks: loads, warm calls and swaps are asked for, and their answers are looked at in a
later turn.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from stream_infer.clock import Clock
from stream_infer.errors import Drained
from stream_infer.model.lifecycle import State
from stream_infer.model.serving import Guard, Serving
from stream_infer.rollout.fold import Entry, Folded, Outcome, Verdict, fold
from stream_infer.rollout.guard import Tripped, WatchedGuard
from stream_infer.rollout.lineage import answered_before, may_differ
from stream_infer.rollout.plan import Action, Cancel, Choice, Forget, Free, Load, Plan, Retire, Serve, Snapshot, plan
from stream_infer.rollout.ports import Engine, Loaded, Loader, LoadEvent, LoadFailed, LoadJob, Origins, Stage
from stream_infer.rollout.record import Canary, Desired, VersionRef
from stream_infer.rollout.split import Split
from stream_infer.rollout.spoken import say_counts, say_given_up, say_moved, say_refused, say_serves
from stream_infer.rollout.table import VersionTable
from stream_infer.rollout.target import Target
from stream_infer.rollout.trip import TripGuard

REMEMBERED: Final = 5
"""Refusals that a status shows."""
RETRY_S: Final = 10.0
"""While nothing serves, how long after its source was away a version is tried again."""


@dataclass(frozen=True, slots=True)
class _Warming:
    loaded: Loaded
    answer: "Future[None]"


@dataclass(frozen=True, slots=True)
class _Switching:
    choice: Choice
    target: Desired
    answer: "Future[None]"


class Follower:
    """Holds the fold, the table of versions and what serves. Used by one thread, which calls `hear` and `turn`.

    `serving` is what the compute thread was told last and did; `changes` grows with everything a status shows; `ends`
    counts how changes of what serves ended: served, failed, superseded, tripped.
    """

    def __init__(
        self, origins: Origins, *, loader: Loader, engine: Engine, clock: Clock, keep_previous_s: float
    ) -> None:
        self._origins = origins
        self._loader = loader
        self._engine = engine
        self._clock = clock
        self._keep_previous_s = keep_previous_s
        self._events: SimpleQueue[LoadEvent | Tripped] = SimpleQueue()
        self._job: LoadJob | None = None
        self._warming: _Warming | None = None
        self._switching: _Switching | None = None
        self._releases: list[Future[None]] = []
        self._plan: Plan | None = None
        self.folded = Folded(origins.model, origins.application_id)
        self.table = VersionTable()
        self._target = Target(origins, self.table)
        self.serving: Choice | None = None
        self.tripped: Tripped | None = None
        self.refusals: tuple[str, ...] = ()
        self.ends: Counter[str] = Counter()
        self.changes = 0

    def hear(self, entries: Iterable[Entry]) -> list[Verdict]:
        """Fold entries of the control log, in offset order, and return what became of each."""
        verdicts = []
        for entry in entries:
            self.folded, verdict = fold(self.folded, entry)
            verdicts.append(verdict)
            self._note(verdict)
        say_counts(verdicts)
        return verdicts

    def turn(self) -> None:
        """Look at what was answered meanwhile, decide, act; raises `Stop` when nothing can ever serve here."""
        self._hear_event()
        self._look_at_warming()
        self._look_at_switch()
        if self._switching is None:
            if self.serving is None:
                self.changes += self.table.drop_due(self._clock.wall_s())
            target = self._target.find(self.folded, serves=self.serving is not None)
            self._plan = plan(self._snapshot(target))
            for action in self._plan.actions:
                self._do(action, target)

    @property
    def skew(self) -> str | None:
        """Why another version serves than the log names; None when it does not."""
        return self._plan.skew if self._plan else None

    def has_news(self) -> bool:
        """Whether another turn now has something to hear."""
        return not self._events.empty()

    def was_released(self) -> bool:
        """Whether versions were emptied since this was asked last."""
        waiting = [release for release in self._releases if not release.done()]
        was_released = len(waiting) < len(self._releases)
        self._releases = waiting
        return was_released

    def is_in_step(self) -> bool:
        """Whether what the log names serves here, or has failed here while something else serves."""
        return self.serving is not None and self._switching is None and self._plan is not None and self._plan.in_step

    def end(self) -> None:
        """Give up what is under way: the worker stops."""
        self._loader.cancel()
        if self._warming is not None:
            self._warming.loaded.settle()

    def _note(self, verdict: Verdict) -> None:
        if verdict.outcome not in {Outcome.APPLIED, Outcome.OTHER}:
            sentence = f"offset {verdict.offset}: {verdict.reason}"
            say_refused(verdict, sentence)
            self.refusals = (*self.refusals, sentence)[-REMEMBERED:]
            self.changes += 1

    def _snapshot(self, target: Desired) -> Snapshot:
        return Snapshot(
            desired=target,
            holdings=self.table.holdings(),
            serving=self.serving,
            tripped_revision=self._tripped_revision(target),
            now_s=self._clock.wall_s(),
            keep_previous_s=self._keep_previous_s,
            loading=self._job.ref if self._job else None,
        )

    def _tripped_revision(self, target: Desired) -> int | None:
        """Return the revision whose canary stays stopped: a newer one, too, that says the same of it."""
        if self.tripped is None:
            return None
        return target.revision if self._canary_of(self.tripped) == target.canary else self.tripped.revision

    def _canary_of(self, said: Tripped | Choice) -> Canary | None:
        """Return the canary as its revision's record names it."""
        named = (one.desired.canary for one in self.folded.history if one.desired.revision == said.revision)
        return next(named, None)

    def _do(self, action: Action, target: Desired) -> None:
        match action:
            case Load(ref, allow_output_change):
                self._load(ref, target, allow_output_change=allow_output_change)
            case Cancel(ref):
                self._cancel(ref)
            case Serve(choice):
                self._serve(choice, target)
            case Retire(ref) | Free(ref):
                self._free(ref)
            case Forget(ref):
                self.table.drop(ref)
                self.changes += 1

    def _load(self, ref: VersionRef, target: Desired, *, allow_output_change: bool) -> None:
        history, serving = self.folded.history, self.serving
        lineage = answered_before(history, target, ref)
        # What serves under a newer revision than the last that let outputs differ means what all since then mean.
        means_it = serving is not None and serving.revision >= lineage.since
        self._job = LoadJob(
            ref,
            target.revision,
            allow_output_change=allow_output_change or may_differ(history, ref),
            against=self.table.version(serving.stable) if serving is not None and means_it else None,
            before=lineage.refs,
            is_beside_live=serving is not None,
        )
        self.table.begin(ref, revision=target.revision, at_s=self._clock.wall_s())
        self.changes += 1
        self._loader.start(self._job, self._events.put)

    def _cancel(self, ref: VersionRef) -> None:
        say_given_up(self.table.row(ref))
        self._loader.cancel()
        if self._warming is not None:
            self._give_up(self._warming.loaded)
        self._job = self._warming = None
        self.ends["superseded"] += 1
        self._move(ref, State.GONE)

    def _serve(self, choice: Choice, target: Desired) -> None:
        canary = choice.canary
        serving = Serving(
            revision=choice.revision,
            stable=self.table.version(choice.stable),
            canary=self.table.version(canary.ref) if canary else None,
            router=Split(canary.seed, canary.hundredths) if canary else None,
            guard=self._guard(choice) if canary else None,
        )
        self._switching = _Switching(choice, target, self._engine.serve(serving))

    def _guard(self, choice: Choice) -> Guard:
        limits = choice.canary.limits if choice.canary else None
        return WatchedGuard(TripGuard(limits) if limits else None, choice.revision, self._events.put)

    def _free(self, ref: VersionRef) -> None:
        version = self.table.row(ref).version
        self._move(ref, State.GONE)
        if version is not None:
            self._releases.append(self._engine.release(version))

    def _give_up(self, loaded: Loaded) -> None:
        """Let a version go that no longer is wanted, without a word about its process having survived it."""
        loaded.settle()
        self._releases.append(self._engine.release(loaded.version))

    def _hear_event(self) -> None:
        """Hear one thing that was told, so that every transition can be reported before the next."""
        if self._events.empty():
            return
        event = self._events.get_nowait()
        if isinstance(event, Tripped):
            self._trip(event)
        elif event.job is self._job:
            self._hear_load(event)
        elif isinstance(event, Loaded):
            self._give_up(event)

    def _trip(self, tripped: Tripped) -> None:
        stopped = self._canary_of(tripped)
        if self.serving is not None and (self.serving.canary is None or stopped != self._canary_of(self.serving)):
            return  # told while a newer revision took over: its canary is another one
        self.ends["tripped"] += 1
        self.tripped = tripped
        self.changes += 1

    def _hear_load(self, event: LoadEvent) -> None:
        ref = event.job.ref
        match event:
            case Stage(_, state, digest):
                self.table.learn(ref, digest=digest)
                self._move(ref, state)
            case Loaded(_, version):
                self.table.learn(ref, version=version)
                self._move(ref, State.WARMING)
                self._warming = _Warming(event, self._engine.warm(version))
            case LoadFailed(_, reason, may_pass):
                self._job = None
                self._move(ref, State.FAILED, reason=reason)
                if may_pass:
                    self.table.retry(ref, at_s=self._clock.wall_s() + RETRY_S)

    def _look_at_warming(self) -> None:
        warming = self._warming
        if warming is None or not warming.answer.done():
            return
        self._job = self._warming = None
        ref, error = warming.loaded.job.ref, warming.answer.exception()
        if isinstance(error, Drained):
            # No word against the version: it would be withdrawn everywhere because one worker ends.
            warming.loaded.settle()
        elif error is None:
            warming.loaded.settle()
            self._move(ref, State.READY)
        else:
            self._give_up(warming.loaded)
            self._move(ref, State.FAILED, reason=str(error))

    def _look_at_switch(self) -> None:
        switching = self._switching
        if switching is None or not switching.answer.done():
            return
        switching.answer.result()
        self._switching = None
        self.serving = switching.choice
        if self.tripped is not None and self._tripped_revision(switching.target) != switching.choice.revision:
            self.tripped = None
        self.table.serve(switching.choice, at_s=self._clock.wall_s())
        self.changes += 1
        self.ends["served"] += 1
        say_serves(switching.choice)

    def _move(self, ref: VersionRef, to: State, *, reason: str | None = None) -> None:
        self.table.move(ref, to, at_s=self._clock.wall_s(), reason=reason)
        self.changes += 1
        self.ends["failed"] += to is State.FAILED
        say_moved(self.table.row(ref))
