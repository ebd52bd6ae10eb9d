"""Looks at a worker, made up for tests of the plan."""

from stream_infer.model.lifecycle import Life, State
from stream_infer.rollout.plan import Action, Choice, Holding, Snapshot, plan
from stream_infer.rollout.record import Canary, Desired, VersionRef

NOW_S = 1_000.0
KEEP_S = 300.0
V1, V2, V3 = (VersionRef(name) for name in "123")
PINNED = VersionRef("2", sha256="2" * 64)
STARTED = (State.FETCHING, State.VERIFYING, State.LOADING, State.WARMING)


def held(
    ref: VersionRef,
    state: State,
    *,
    revision: int = 1,
    since_s: float = NOW_S,
    digest: str | None = None,
    reason: str | None = None,
) -> Holding:
    return Holding(ref, digest or ref.sha256, Life(state, since_s, reason), revision)


def looks(
    desired: Desired | None,
    *holdings: Holding,
    serving: Choice | None = None,
    tripped_revision: int | None = None,
    loading: VersionRef | None = None,
) -> Snapshot:
    return Snapshot(desired, holdings, serving, tripped_revision, NOW_S, KEEP_S, loading)


def wants(revision: int, stable: VersionRef, *prepared: VersionRef, canary: VersionRef | None = None) -> Desired:
    beside = Canary(canary, 500, "fraud/1") if canary else None
    return Desired("fraud", revision, stable, beside, prepared)


def choice(revision: int, stable: VersionRef, *, canary: VersionRef | None = None) -> Choice:
    return Choice(revision, stable, Canary(canary, 500, "fraud/1") if canary else None)


def actions(snapshot: Snapshot) -> tuple[Action, ...]:
    return plan(snapshot).actions
