"""Operate: what an operator's word makes of the desired state. Each function returns the next state whole, or raises.

`prepared` belongs to one start: every other word ends it, so that a start that was superseded leaves nothing loaded.
"""

from dataclasses import dataclass, replace
from typing import Final

from stream_infer.errors import Stop
from stream_infer.rollout.fold import Counted, Folded
from stream_infer.rollout.record import Canary, Desired, TripLimits, VersionRef

BEFORE_THE_LOG: Final = -1
SHARES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Issued:
    """Who says it, when (ISO 8601, UTC) and why: for people, nothing is decided by it."""

    at: str | None = None
    by: str | None = None
    reason: str | None = None


def with_baseline(folded: Folded, stable: VersionRef) -> Folded:
    """Return the log as if it began with revision 0, under which the version of the settings serves.

    An operator's first word goes on from there, and the first rollback leads back to there.
    """
    first = Counted(BEFORE_THE_LOG, 0, Desired(folded.model, 0, stable, application_id=folded.application_id))
    return replace(folded, history=(first, *folded.history))


def is_same_version(one: VersionRef, other: VersionRef) -> bool:
    """Return whether two references mean the same version, as far as they say: equal names, no two digests."""
    digests = {ref.sha256 for ref in (one, other) if ref.sha256 is not None}
    return one.version == other.version and len(digests) <= 1


def start_prepare(folded: Folded, ref: VersionRef, *, issued: Issued, allow_output_change: bool = False) -> Desired:
    """Return the state that loads and warms a version everywhere and lets everything answer as before.

    A version that serves already may be named: those workers on which it failed then try it again.
    """
    current = _current(folded)
    return _next(folded, replace(current, prepared=(ref,), allow_output_change=allow_output_change), issued)


def switch(folded: Folded, ref: VersionRef, *, issued: Issued, allow_output_change: bool = False) -> Desired:
    """Return the state in which this version answers everything: a running canary ends.

    The only word that needs no state before it.
    """
    wanted = Desired(folded.model, 0, stable=ref, allow_output_change=allow_output_change)
    return _next(folded, wanted, issued)


def withdraw(folded: Folded, ref: VersionRef, *, issued: Issued) -> Desired:
    """Return the state without a version that was prepared; raises `Stop` when it is not."""
    current = _current(folded)
    left = tuple(one for one in current.prepared if not is_same_version(one, ref))
    if len(left) == len(current.prepared):
        raise Stop(
            f"version {ref.version} is not prepared by revision {current.revision}: there is nothing to withdraw"
        )
    return _next(folded, replace(current, prepared=left), issued)


def canary(
    folded: Folded,
    ref: VersionRef,
    *,
    hundredths: int,
    limits: TripLimits | None = None,
    issued: Issued,
    allow_output_change: bool = False,
) -> Desired:
    """Return the state in which a version answers `hundredths` of 10,000 of the records.

    The version that runs as canary already keeps its seed, so that a growing share only adds records, and its limits
    where none are given. Raises `Stop` for the stable version and for a share out of range.
    """
    current = _current(folded)
    if not 0 <= hundredths <= SHARES:
        raise Stop(f"the canary's share is {hundredths / 100:g} percent, expected 0 to 100")
    if is_same_version(ref, current.stable):
        raise Stop(f"version {ref.version} is stable in revision {current.revision}, expected another one as canary")
    running = current.canary
    if running is not None and is_same_version(ref, running.ref):
        wanted = Canary(ref, hundredths, running.seed, limits or running.limits)
    else:
        wanted = Canary(ref, hundredths, f"{folded.model}/{folded.revision + 1}", limits)
    state = replace(current, canary=wanted, prepared=(), allow_output_change=allow_output_change)
    return _next(folded, state, issued)


def promote(folded: Folded, *, issued: Issued) -> Desired:
    """Return the state in which the canary answers everything; raises `Stop` when there is none."""
    current = _current(folded)
    if current.canary is None:
        raise Stop(f"revision {current.revision} has no canary: there is nothing to promote")
    return _next(folded, replace(current, stable=current.canary.ref, canary=None, prepared=()), issued)


def rollback(folded: Folded, *, issued: Issued) -> Desired:
    """Return the state with the stable version that served before the current one; a running canary ends.

    Its outputs may differ from the current ones': they were good enough before, and this must not fail on it. Raises
    `Stop` when no other version was ever stable.
    """
    current = _current(folded)
    others = (one.desired.stable for one in reversed(folded.history))
    earlier = next((ref for ref in others if not is_same_version(ref, current.stable)), None)
    if earlier is None:
        raise Stop(f"no other version than {current.stable.version} was ever stable: there is nothing to roll back to")
    state = replace(current, stable=earlier, canary=None, prepared=(), allow_output_change=True)
    return _next(folded, state, issued)


def abort(folded: Folded, *, issued: Issued) -> Desired:
    """Return the state without canary and prepared versions; raises `Stop` when there are none."""
    current = _current(folded)
    if current.canary is None and not current.prepared:
        raise Stop(f"revision {current.revision} has no canary and prepares nothing: there is nothing to abort")
    return _next(folded, replace(current, canary=None, prepared=()), issued)


def apply(folded: Folded, desired: Desired, *, issued: Issued) -> Desired | None:
    """Return the next revision with what a file says, None when that is what the log says already.

    Its revision and who issued it are not compared. What the file leaves open, such as a digest or a canary's seed,
    stays as it is. Raises `Stop` for another model's file.
    """
    if desired.model != folded.model:
        raise Stop(f"the file is for model {desired.model}, expected {folded.model}")
    current = folded.current
    if current is None or folded.revision == 0:
        return _next(folded, desired, issued)
    wanted = _filled(desired, current)
    return None if _content(wanted) == _content(current) else _next(folded, wanted, issued)


def _current(folded: Folded) -> Desired:
    if folded.current is None:
        raise Stop(
            f"the control topic names no version of {folded.model} yet and model.version is not set, "
            "expected one of both: `rollout start --version V` writes the first"
        )
    return folded.current


def _next(folded: Folded, state: Desired, issued: Issued) -> Desired:
    return replace(
        state,
        revision=folded.revision + 1,
        issued_at=issued.at,
        issued_by=issued.by,
        reason=issued.reason,
        application_id=folded.application_id,
    )


def _content(state: Desired) -> Desired:
    """Return the state without what nothing is decided by."""
    return replace(state, revision=0, issued_at=None, issued_by=None, reason=None, application_id=None)


def _filled(said: Desired, current: Desired) -> Desired:
    """Return a file's state with the current one's references and seed where it means the same and says less."""
    running = (current.canary.ref,) if current.canary else ()
    known = (current.stable, *running, *current.prepared)
    beside = said.canary and replace(said.canary, ref=_pinned(said.canary.ref, running, known))
    return replace(
        said,
        stable=_pinned(said.stable, (current.stable,), known),
        canary=beside and replace(beside, seed=_seed(said, beside, running=current.canary)),
        prepared=tuple(_pinned(ref, current.prepared, known) for ref in said.prepared),
    )


def _seed(said: Desired, beside: Canary, *, running: Canary | None) -> str:
    # A file without a seed was read with the default one of its revision.
    is_open = beside.seed == f"{said.model}/{said.revision}"
    return running.seed if running is not None and is_open and beside.ref == running.ref else beside.seed


def _pinned(said: VersionRef, own: tuple[VersionRef, ...], known: tuple[VersionRef, ...]) -> VersionRef:
    """Return the first known reference that says the same as `said` and perhaps more; those of its own place first."""
    fitting = (ref for ref in (*own, *known) if _leaves_open(said, ref))
    return said if said in own else next(fitting, said)


def _leaves_open(said: VersionRef, ref: VersionRef) -> bool:
    """Return whether `said` says nothing else than `ref`, and perhaps less."""
    return (
        said.version == ref.version
        and said.uri in {None, ref.uri}
        and said.sha256 in {None, ref.sha256}
        and said.size_bytes in {None, ref.size_bytes}
    )
