"""Plan: what to load, serve and let go, from one look at what should serve and what is here. Decides and does nothing.

One version is loaded at a time: stable, then the canary, then what is only prepared. What serves is replaced only by
versions that are ready, and stays whole until the new stable one is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from stream_infer.model.lifecycle import Life, State
from stream_infer.rollout.record import Canary, Desired, VersionRef

USABLE: Final = frozenset({State.READY, State.ACTIVE, State.RETIRING})
"""States in which a version lies warm in memory."""
UNLIKE_THEIR_DIGEST: Final = frozenset({State.FAILED, State.GONE})
"""States that say nothing of another reference to the same digest: it may lie where it can be fetched."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A version that is here or was tried; `revision` is that of the state for which it was last loaded or failed."""

    ref: VersionRef
    digest: str | None
    life: Life
    revision: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What serves under a revision; versions are named as they are held here."""

    revision: int
    stable: VersionRef
    canary: Canary | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a worker.

    `serving` is what the compute thread was told last and did; `tripped_revision` the one whose canary stopped itself
    here; `loading` the version that the loader works on; `now_s` wall-clock seconds, as those of a `Life` are.
    """

    desired: Desired | None
    holdings: tuple[Holding, ...]
    serving: Choice | None
    tripped_revision: int | None
    now_s: float
    keep_previous_s: float
    loading: VersionRef | None


@dataclass(frozen=True, slots=True)
class Load:
    """Fetch, verify, deserialise and warm a version."""

    ref: VersionRef
    allow_output_change: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up the load of a version that nothing names any more."""

    ref: VersionRef


@dataclass(frozen=True, slots=True)
class Serve:
    """Let a choice answer from the next batch on: its versions become ACTIVE, those that were become RETIRING."""

    choice: Choice


@dataclass(frozen=True, slots=True)
class Retire:
    """Let a READY version go that was prepared and withdrawn: it never served, so nobody rolls back to it."""

    ref: VersionRef


@dataclass(frozen=True, slots=True)
class Free:
    """Let a RETIRING version go that was kept long enough."""

    ref: VersionRef


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the word that a version failed: nothing names it any more."""

    ref: VersionRef


Action = Load | Cancel | Serve | Retire | Free | Forget


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order.

    `in_step`: what should serve does, or has failed here for its revision while something else serves; `skew` then
    says in one sentence why another version answers. `next_s` is the wall time at which something becomes due by
    itself.
    """

    actions: tuple[Action, ...]
    in_step: bool
    skew: str | None
    next_s: float | None


def plan(snapshot: Snapshot) -> Plan:
    """Return what a worker should do now; executed whole, and asked again when anything changed."""
    choice = _choice(snapshot)
    is_switch = choice is not None and choice != snapshot.serving
    kept = _kept(snapshot, choice)
    actions: list[Action] = [*_give_up(snapshot), *_let_go(snapshot, kept)]
    if choice is not None and is_switch:
        actions.append(Serve(choice))
    elif load := _next_load(snapshot):
        # Not beside a switch: a version is compared with the stable one that serves when its load begins.
        actions.append(load)
    dues = (_due_s(snapshot, one) for one in snapshot.holdings if one.ref not in kept and _is_in(State.RETIRING, one))
    return Plan(
        actions=tuple(actions),
        in_step=not is_switch and _is_in_step(snapshot),
        skew=_skew(snapshot),
        next_s=min((due_s for due_s in dues if due_s > snapshot.now_s), default=None),
    )


def find_holding(holdings: tuple[Holding, ...], ref: VersionRef) -> Holding | None:
    """Return the version that a reference means: the one held under it, else one of the same name and digest.

    Of several the first that is usable; one that failed or is gone speaks for its own reference alone.
    """
    here = [one for one in holdings if not _is_in(State.GONE, one)]
    for one in here:
        if one.ref == ref:
            return one
    same = [one for one in here if _is_same(one, ref) and one.life.state not in UNLIKE_THEIR_DIGEST]
    return next((one for one in same if one.life.state in USABLE), None) or next(iter(same), None)


def _is_same(holding: Holding, ref: VersionRef) -> bool:
    # The name counts too: it is on every prediction.
    return ref.sha256 is not None and holding.digest == ref.sha256 and holding.ref.version == ref.version


def _is_in(state: State, holding: Holding) -> bool:
    return holding.life.state is state


def _named(desired: Desired | None) -> Iterator[VersionRef]:
    """Return what a state names, in the order in which it is loaded."""
    if desired is not None:
        yield desired.stable
        if desired.canary is not None:
            yield desired.canary.ref
        yield from desired.prepared


def _usable(snapshot: Snapshot, ref: VersionRef) -> VersionRef | None:
    """Return the reference under which a version lies here, warm; None when it does not."""
    found = find_holding(snapshot.holdings, ref)
    return found.ref if found is not None and found.life.state in USABLE else None


def _choice(snapshot: Snapshot) -> Choice | None:
    """Return what should answer now: of the desired state as much as is ready, else what answers already."""
    desired = snapshot.desired
    stable = _usable(snapshot, desired.stable) if desired else None
    if desired is None or stable is None:
        return _previous(snapshot)
    return Choice(desired.revision, stable, _ready_canary(snapshot, desired))


def _previous(snapshot: Snapshot) -> Choice | None:
    """Return what serves, without its canary when that has tripped."""
    serving = snapshot.serving
    has_tripped = serving is not None and serving.revision == snapshot.tripped_revision
    return replace(serving, canary=None) if serving is not None and has_tripped else serving


def _ready_canary(snapshot: Snapshot, desired: Desired) -> Canary | None:
    if desired.canary is None or snapshot.tripped_revision == desired.revision:
        return None
    held = _usable(snapshot, desired.canary.ref)
    return replace(desired.canary, ref=held) if held else None


def _kept(snapshot: Snapshot, choice: Choice | None) -> frozenset[VersionRef]:
    """Return what must stay: what the desired state names, what serves, and what is about to."""
    found = (find_holding(snapshot.holdings, ref) for ref in _named(snapshot.desired))
    kept = {one.ref for one in found if one is not None}
    for answering in (one for one in (snapshot.serving, choice) if one is not None):
        kept |= {answering.stable} | ({answering.canary.ref} if answering.canary else set())
    return frozenset(kept)


def _give_up(snapshot: Snapshot) -> Iterator[Cancel]:
    loading = snapshot.loading
    if loading is not None and not _is_wanted(snapshot, loading):
        yield Cancel(loading)


def _is_wanted(snapshot: Snapshot, loading: VersionRef) -> bool:
    found = (find_holding(snapshot.holdings, ref) for ref in _named(snapshot.desired))
    return any(one is not None and one.ref == loading for one in found)


def _let_go(snapshot: Snapshot, kept: frozenset[VersionRef]) -> Iterator[Action]:
    for one in snapshot.holdings:
        if one.ref in kept:
            continue
        if _is_in(State.READY, one):
            yield Retire(one.ref)
        elif _is_in(State.RETIRING, one) and _due_s(snapshot, one) <= snapshot.now_s:
            yield Free(one.ref)
        elif _is_in(State.FAILED, one) and snapshot.serving is not None:
            # While nothing serves, what failed is what the search for an earlier good revision goes by.
            yield Forget(one.ref)


def _due_s(snapshot: Snapshot, holding: Holding) -> float:
    return holding.life.since_s + snapshot.keep_previous_s


def _next_load(snapshot: Snapshot) -> Load | None:
    desired, loading = snapshot.desired, snapshot.loading
    if desired is None or (loading is not None and _is_wanted(snapshot, loading)):
        return None
    missing = (ref for ref in _named(desired) if _is_missing(snapshot, ref, revision=desired.revision))
    ref = next(missing, None)
    return Load(ref, desired.allow_output_change) if ref else None


def _is_missing(snapshot: Snapshot, ref: VersionRef, *, revision: int) -> bool:
    found = find_holding(snapshot.holdings, ref)
    return found is None or (_is_in(State.FAILED, found) and found.revision < revision)


def _failure(snapshot: Snapshot, ref: VersionRef) -> Holding | None:
    """Return the version when it has failed here for the desired revision, and so is not tried again."""
    desired, found = snapshot.desired, find_holding(snapshot.holdings, ref)
    if desired is None or found is None or not _is_in(State.FAILED, found) or found.revision < desired.revision:
        return None
    return found


def _is_in_step(snapshot: Snapshot) -> bool:
    """Return whether nothing that should answer is still on its way, given that no switch is due."""
    desired, serving = snapshot.desired, snapshot.serving
    if desired is None or serving is None:
        return serving is not None
    if _usable(snapshot, desired.stable) is None:
        return _failure(snapshot, desired.stable) is not None
    waits = desired.canary is not None and serving.canary is None and snapshot.tripped_revision != desired.revision
    return not waits or (desired.canary is not None and _failure(snapshot, desired.canary.ref) is not None)


def _skew(snapshot: Snapshot) -> str | None:
    desired, serving = snapshot.desired, snapshot.serving
    if desired is None:
        return None
    instead = f"version {serving.stable.version} of revision {serving.revision} serves" if serving else "nothing serves"
    where = f"which revision {desired.revision} names"
    if failed := _failure(snapshot, desired.stable):
        return f"version {desired.stable.version}, {where}, failed here ({failed.life.reason}): {instead}"
    canary = desired.canary
    if canary is not None and (failed := _failure(snapshot, canary.ref)):
        return f"canary {canary.ref.version}, {where}, failed here ({failed.life.reason}): {instead} alone"
    if canary is not None and snapshot.tripped_revision == desired.revision:
        return f"canary {canary.ref.version}, {where}, was stopped here by its limits: {instead} alone"
    return None
