"""Campaign: an operator waits for the workers, as a state machine that is shown one look after the other.

A start has two halves: `prepare` until every live worker holds the version warm, then, under the revision that makes
it stable, `arrive` until it answers everywhere. Every other word has the second half only. The clock is the
operator's: what the workers' clocks say is not compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from stream_infer.model.lifecycle import State
from stream_infer.rollout.fold import Counted, Folded
from stream_infer.rollout.record import Desired, VersionRef
from stream_infer.rollout.status import VersionStatus, WorkerStatus

WARM: Final = frozenset({State.READY, State.ACTIVE, State.RETIRING})
SILENT: Final = "no status yet"
NOT_BEGUN: Final = "not begun"


class Phase(StrEnum):
    """How far the wait is; PREPARING and ARRIVING go on, all others are ends.

    SWITCH: every live worker is ready, the version is to be written as stable. WITHDRAW: it is to be withdrawn. LOST:
    somebody else's revision counts, nothing is to be written. DONE, NOT_DONE: every live worker serves it, or not.
    """

    PREPARING = "preparing"
    SWITCH = "switch"
    WITHDRAW = "withdraw"
    LOST = "lost"
    ARRIVING = "arriving"
    DONE = "done"
    NOT_DONE = "not done"


GOING_ON: Final = frozenset({Phase.PREPARING, Phase.ARRIVING})


@dataclass(frozen=True, slots=True)
class View:
    """One look: the ids of the live workers, None where the broker cannot tell; what each worker said last; the log.

    Where the broker cannot tell, every worker with a status counts as live. `now_s` is any clock of the operator's.
    """

    members: frozenset[str] | None
    statuses: Mapping[str, WorkerStatus]
    folded: Folded
    now_s: float

    @property
    def live(self) -> tuple[str, ...]:
        """The live workers in the order of their ids."""
        return tuple(sorted(self.statuses if self.members is None else self.members))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that every live worker must come to: as this variant, or warm where `variant` is None."""

    ref: VersionRef
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """What is waited for: `revision` is the operator's own, written at `offset` of the control topic."""

    wanted: tuple[Wanted, ...]
    revision: int
    offset: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a worker was seen to do since `since_s`, on the operator's clock; `failure` is why it cannot arrive."""

    worker: str
    state: str
    arrived: bool
    failure: str | None
    since_s: float

    def line(self, now_s: float) -> str:
        """Return the worker's line of progress, such as `worker-a: WARMING (3 s)`."""
        return f"{self.worker}: {self.state} ({now_s - self.since_s:.0f} s)"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a worker said before the campaign began, which is therefore no answer to it."""

    worker: str
    what: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """A wait: `sightings` of the live workers, in the order of their ids.

    At an end that is no success `reason` is one sentence, and `worker` the one that failed, if one did. `spread_s` at
    DONE is from the first worker's arrival to the last one's.
    """

    goal: Goal
    phase: Phase
    began_s: float
    before: frozenset[Trouble] = frozenset()
    sightings: tuple[Sighting, ...] = ()
    worker: str | None = None
    reason: str | None = None
    spread_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.phase not in GOING_ON

    @property
    def missing(self) -> tuple[Sighting, ...]:
        """The live workers that are still waited for."""
        return tuple(one for one in self.sightings if not one.arrived)


def prepare(ref: VersionRef, *, written: Desired, offset: int, before: View, timeout_s: float) -> Campaign:
    """Begin to wait until every live worker holds `ref` warm.

    `written` is the operator's own record, at `offset`; `before` a look from before it was written: a failure that a
    worker reported then is none of this campaign.
    """
    goal = Goal((Wanted(ref),), written.revision, offset, timeout_s)
    return Campaign(goal, Phase.PREPARING, before.now_s, before=_troubles(before))


def arrive(written: Desired, *, offset: int, before: View, timeout_s: float) -> Campaign:
    """Begin to wait until what `written` names serves on every live worker; see `prepare`."""
    wanted = [Wanted(written.stable, "stable")]
    if written.canary is not None:
        wanted.append(Wanted(written.canary.ref, "canary"))
    goal = Goal(tuple(wanted), written.revision, offset, timeout_s)
    return Campaign(goal, Phase.ARRIVING, before.now_s, before=_troubles(before))


def step(campaign: Campaign, view: View) -> Campaign:
    """Return the campaign after one more look; one that is over stays as it is."""
    if campaign.is_over:
        return campaign
    seen = replace(campaign, sightings=tuple(_sight(campaign, view, worker) for worker in view.live))
    if lost := _lost(seen.goal, view.folded):
        return replace(seen, phase=Phase.LOST, reason=lost)
    if failed := next((one for one in seen.sightings if one.failure is not None), None):
        return _not_done(seen, f"{failed.worker}: {failed.failure}", worker=failed.worker)
    if view.folded.next_offset > seen.goal.offset and seen.sightings and not seen.missing:
        return _done(seen)
    if view.now_s - seen.began_s >= seen.goal.timeout_s:
        return _not_done(seen, _late(seen, view.now_s))
    return seen


def _done(campaign: Campaign) -> Campaign:
    if campaign.phase is Phase.PREPARING:
        return replace(campaign, phase=Phase.SWITCH)
    times_s = [one.since_s for one in campaign.sightings]
    return replace(campaign, phase=Phase.DONE, spread_s=max(times_s) - min(times_s))


def _not_done(campaign: Campaign, reason: str, *, worker: str | None = None) -> Campaign:
    phase = Phase.WITHDRAW if campaign.phase is Phase.PREPARING else Phase.NOT_DONE
    return replace(campaign, phase=phase, reason=reason, worker=worker)


def _late(campaign: Campaign, now_s: float) -> str:
    missing = ", ".join(one.line(now_s) for one in campaign.missing)
    where = missing or ("no live worker" if not campaign.sightings else "the control topic was not read back")
    return f"not every live worker got there within {campaign.goal.timeout_s:g} s: {where}"


def _lost(goal: Goal, folded: Folded) -> str | None:
    """Return who won when the operator's record did not count, or another one counted after it; else None."""
    newest = folded.history[-1] if folded.history else None
    if folded.next_offset <= goal.offset or (newest is not None and newest.offset == goal.offset):
        return None
    if newest is None:
        return f"revision {goal.revision}, at offset {goal.offset} of the control topic, does not count"
    if newest.offset < goal.offset:
        return f"revision {goal.revision} came too late: {_told(newest)} counted before it"
    return f"revision {goal.revision} was superseded: {_told(newest)} counts now"


def _told(counted: Counted) -> str:
    desired = counted.desired
    by = f" by {desired.issued_by}" if desired.issued_by else ""
    return f"revision {desired.revision}{by}, at offset {counted.offset},"


def _sight(campaign: Campaign, view: View, worker: str) -> Sighting:
    now = _look_at(campaign, view.statuses.get(worker), worker=worker)
    seen = next((one for one in campaign.sightings if one.worker == worker), None)
    is_as_before = seen is not None and (seen.state, seen.arrived) == (now.state, now.arrived)
    return replace(now, since_s=seen.since_s if seen is not None and is_as_before else view.now_s)


def _look_at(campaign: Campaign, status: WorkerStatus | None, *, worker: str) -> Sighting:
    """Return how one worker stands to the goal: to the first wanted version that it has not come to."""
    if status is None:
        return Sighting(worker, SILENT, arrived=False, failure=None, since_s=0.0)
    stands = [_stand(campaign, status, wanted=wanted) for wanted in campaign.goal.wanted]
    return next((one for one in stands if not one.arrived), stands[-1])


def _stand(campaign: Campaign, status: WorkerStatus, *, wanted: Wanted) -> Sighting:
    """Return how one worker stands to one wanted version."""
    found = _find(status, wanted)
    state = found.state if found else NOT_BEGUN
    if _has_arrived(status, found, wanted=wanted, revision=campaign.goal.revision):
        return Sighting(status.worker, state, arrived=True, failure=None, since_s=0.0)
    failure = _failure(campaign, status, found=found, wanted=wanted)
    behind = f"{state}, at revision {status.applied_revision}" if state == State.ACTIVE else state
    return Sighting(status.worker, behind, arrived=False, failure=failure, since_s=0.0)


def _has_arrived(status: WorkerStatus, found: VersionStatus | None, *, wanted: Wanted, revision: int) -> bool:
    if found is None:
        return False
    if wanted.variant is None:
        return found.state in WARM
    is_applied = status.applied_revision >= revision
    return is_applied and found.state == State.ACTIVE and found.variant == wanted.variant


def _find(status: WorkerStatus, wanted: Wanted) -> VersionStatus | None:
    """Return what a worker says of a version: of several rows that may be it, the one that is furthest."""
    rows = [one for one in status.versions if _is_same(one, wanted.ref)]
    return max(
        rows, key=lambda one: (wanted.variant is not None and one.variant == wanted.variant, _rank(one)), default=None
    )


def _is_same(said: VersionStatus, ref: VersionRef) -> bool:
    return said.version == ref.version and (None in {said.digest, ref.sha256} or said.digest == ref.sha256)


def _rank(said: VersionStatus) -> int:
    ranks = (State.GONE, State.FAILED, None, State.READY, State.RETIRING, State.ACTIVE)
    return ranks.index(State(said.state)) if said.state in ranks else ranks.index(None)


def _failure(campaign: Campaign, status: WorkerStatus, *, found: VersionStatus | None, wanted: Wanted) -> str | None:
    """Return why a worker cannot arrive, unless it said so before the campaign."""
    if found is not None and found.state == State.FAILED:
        is_new = Trouble(status.worker, _failed(found)) not in campaign.before
        return f"version {found.version} failed: {found.reason}" if is_new else None
    has_tripped = status.tripped is not None and status.applied_revision >= campaign.goal.revision
    # Said before or not: a canary stays stopped under every revision that says the same of it.
    return f"the canary was stopped: {status.tripped}" if wanted.variant == "canary" and has_tripped else None


def _troubles(view: View) -> frozenset[Trouble]:
    """Return the failures that every worker tells of, live or not."""
    said = ((one.worker, row) for one in view.statuses.values() for row in one.versions)
    return frozenset(Trouble(worker, _failed(row)) for worker, row in said if row.state == State.FAILED)


def _failed(said: VersionStatus) -> str:
    return f"{said.version} {said.digest} {said.since}"
