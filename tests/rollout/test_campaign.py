"""An operator waits for the workers."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.rollout.campaign import Campaign, Phase, View, arrive, prepare, step
from stream_infer.rollout.fold import Counted, Folded
from stream_infer.rollout.record import Canary, Desired, VersionRef
from stream_infer.rollout.status import VersionStatus, WorkerStatus

V1 = VersionRef("1")
V2 = VersionRef("2", sha256="2" * 64)
OURS = Desired("fraud", 5, V1, prepared=(V2,), issued_by="ann@desk")
OFFSET = 40
EMPTY = Folded("fraud", "scoring")
TIMEOUT_S = 60.0


def said(state: str, *, variant: str | None = None, digest: str | None = "2" * 64, since: str = "t1") -> VersionStatus:
    return VersionStatus("2", digest, variant, state, "it is broken" if state == "FAILED" else None, since)


def worker(name: str, *versions: VersionStatus, revision: int = 5, tripped: str | None = None) -> WorkerStatus:
    return WorkerStatus("scoring", "fraud", name, revision, versions, tripped, "t")


def log(*states: Desired, offset: int = OFFSET) -> Folded:
    """Return the log in which these counted, the first at `offset`."""
    history = tuple(Counted(offset + at, 0, state) for at, state in enumerate(states))
    return replace(EMPTY, history=history, next_offset=max(OFFSET, offset + len(states) - 1) + 1)


def view(
    now_s: float,
    *statuses: WorkerStatus,
    members: Iterable[str] | None = ("a", "b"),
    folded: Folded | None = None,
) -> View:
    live = None if members is None else frozenset(members)
    return View(live, {one.worker: one for one in statuses}, log(OURS) if folded is None else folded, now_s)


def preparing(*before: WorkerStatus) -> Campaign:
    return prepare(V2, written=OURS, offset=OFFSET, before=view(0, *before, folded=EMPTY), timeout_s=TIMEOUT_S)


def arriving(*before: WorkerStatus, written: Desired | None = None) -> Campaign:
    written = written or Desired("fraud", 5, V2)
    return arrive(written, offset=OFFSET, before=view(0, *before, folded=EMPTY), timeout_s=TIMEOUT_S)


def lines(campaign: Campaign, now_s: float) -> list[str]:
    return [one.line(now_s) for one in campaign.sightings]


def test_a_version_is_to_be_switched_to_when_every_live_worker_holds_it_warm() -> None:
    campaign = step(preparing(), view(1, worker("a", said("READY")), worker("b", said("WARMING"))))
    assert campaign.phase is Phase.PREPARING
    campaign = step(campaign, view(2, worker("a", said("READY")), worker("b", said("RETIRING"))))
    assert (campaign.phase, campaign.reason) == (Phase.SWITCH, None)


def test_progress_says_what_each_worker_does_and_for_how_long_the_operator_has_seen_it() -> None:
    campaign = step(preparing(), view(1, worker("a", said("LOADING")), worker("b")))
    campaign = step(campaign, view(4, worker("a", said("LOADING")), worker("b"), members="abc"))
    assert lines(campaign, 4) == ["a: LOADING (3 s)", "b: not begun (3 s)", "c: no status yet (0 s)"]
    campaign = step(campaign, view(5, worker("a", said("WARMING")), worker("b")))
    assert lines(campaign, 6) == ["a: WARMING (1 s)", "b: not begun (5 s)"]


def test_a_worker_that_joins_meanwhile_counts_and_one_that_leaves_does_not() -> None:
    ready = worker("a", said("READY"))
    campaign = step(preparing(), view(1, ready, worker("b"), members="abc"))
    assert [one.worker for one in campaign.missing] == ["b", "c"]
    assert step(campaign, view(2, ready, worker("b"), members="a")).phase is Phase.SWITCH


def test_a_live_worker_that_fails_withdraws_the_version() -> None:
    campaign = step(preparing(), view(1, worker("a", said("READY")), worker("b", said("FAILED"))))
    assert (campaign.phase, campaign.worker) == (Phase.WITHDRAW, "b")
    assert campaign.reason == "b: version 2 failed: it is broken"
    assert campaign.is_over


def test_a_worker_that_is_not_live_may_fail() -> None:
    failed = worker("c", said("FAILED"))
    campaign = step(preparing(), view(1, worker("a", said("READY")), worker("b", said("READY")), failed))
    assert campaign.phase is Phase.SWITCH


def test_a_failure_from_before_is_no_answer() -> None:
    old, ready = worker("a", said("FAILED"), revision=4), worker("b", said("READY"))
    campaign = step(preparing(old, ready), view(1, old, ready))
    assert campaign.phase is Phase.PREPARING
    again = worker("a", said("FAILED", since="t2"), revision=4)
    assert step(campaign, view(2, again, ready)).phase is Phase.WITHDRAW


def test_a_timeout_withdraws_the_version_and_says_who_is_missing() -> None:
    slow = view(10, worker("a", said("READY")), worker("b", said("LOADING")))
    campaign = step(preparing(), slow)
    assert campaign.phase is Phase.PREPARING
    campaign = step(campaign, replace(slow, now_s=TIMEOUT_S))
    assert campaign.phase is Phase.WITHDRAW
    assert campaign.reason == "not every live worker got there within 60 s: b: LOADING (50 s)"
    assert step(campaign, replace(slow, now_s=99)) == campaign


def test_with_nobody_live_nothing_is_switched_to() -> None:
    campaign = step(preparing(), view(1, members=()))
    assert campaign.phase is Phase.PREPARING
    campaign = step(campaign, view(TIMEOUT_S, members=()))
    assert campaign.reason == "not every live worker got there within 60 s: no live worker"


def test_where_the_broker_cannot_tell_every_worker_with_a_status_counts() -> None:
    campaign = step(preparing(), view(1, worker("a", said("READY")), worker("b"), members=None))
    assert [one.worker for one in campaign.missing] == ["b"]


def test_nothing_is_decided_before_the_own_record_is_read_back() -> None:
    ready = (worker("a", said("READY")), worker("b", said("READY")))
    assert step(preparing(), view(1, *ready, folded=EMPTY)).phase is Phase.PREPARING


BOBS = Desired("fraud", 5, VersionRef("3"), issued_by="bob@desk")


@pytest.mark.parametrize(
    ("folded", "reason"),
    [
        (
            log(BOBS, offset=OFFSET - 1),
            "revision 5 came too late: revision 5 by bob@desk, at offset 39, counted before it",
        ),
        (
            log(OURS, replace(BOBS, revision=6)),
            "revision 5 was superseded: revision 6 by bob@desk, at offset 41, counts now",
        ),
        (
            log(OURS, replace(BOBS, revision=6, issued_by=None)),
            "revision 5 was superseded: revision 6, at offset 41, counts now",
        ),
        (log(), "revision 5, at offset 40 of the control topic, does not count"),
    ],
    ids=["theirs was first", "theirs is newer", "nobody said who", "refused"],
)
def test_whoever_loses_is_told_who_won(folded: Folded, reason: str) -> None:
    ready = (worker("a", said("READY")), worker("b", said("READY")))
    for campaign in (preparing(), arriving()):
        lost = step(campaign, view(1, *ready, folded=folded))
        assert (lost.phase, lost.reason) == (Phase.LOST, reason)


def test_a_switch_is_done_when_every_live_worker_answers_with_it_and_tells_its_spread() -> None:
    active, waits = said("ACTIVE", variant="stable"), said("READY")
    campaign = step(arriving(), view(1, worker("a", waits), worker("b", waits)))
    campaign = step(campaign, view(2, worker("a", active), worker("b", waits)))
    assert lines(campaign, 2) == ["a: ACTIVE (0 s)", "b: READY (1 s)"]
    campaign = step(campaign, view(3.5, worker("a", active), worker("b", active, revision=4)))
    assert lines(campaign, 3.5)[1] == "b: ACTIVE, at revision 4 (0 s)"
    campaign = step(campaign, view(4, worker("a", active), worker("b", active)))
    assert (campaign.phase, campaign.spread_s) == (Phase.DONE, 2.0)


def test_a_canary_is_waited_for_beside_stable() -> None:
    written = Desired("fraud", 5, V1, Canary(V2, 500, "fraud/5"))
    stable = VersionStatus("1", "1" * 64, "stable", "ACTIVE", None, "t")
    alone = step(arriving(written=written), view(1, worker("a", stable, said("WARMING")), members="a"))
    assert lines(alone, 1) == ["a: WARMING (0 s)"]
    both = step(alone, view(2, worker("a", stable, said("ACTIVE", variant="canary")), members="a"))
    assert both.phase is Phase.DONE


@pytest.mark.parametrize("said_before", [None, "too many errors"])
def test_a_canary_that_is_stopped_has_not_arrived_said_before_or_not(said_before: str | None) -> None:
    written = Desired("fraud", 5, V1, Canary(V2, 500, "fraud/5"))
    stable = VersionStatus("1", "1" * 64, "stable", "ACTIVE", None, "t")
    before = worker("a", stable, revision=4, tripped=said_before)
    campaign = arriving(before, written=written)
    assert step(campaign, view(1, before, members="a")).phase is Phase.ARRIVING
    stopped = replace(before, applied_revision=5, tripped="too many errors", versions=(stable, said("RETIRING")))
    campaign = step(campaign, view(2, stopped, members="a"))
    assert (campaign.phase, campaign.reason) == (Phase.NOT_DONE, "a: the canary was stopped: too many errors")


def test_a_switch_that_a_worker_cannot_make_is_not_done() -> None:
    failed = worker("b", said("FAILED"), revision=4)
    campaign = step(arriving(), view(1, worker("a", said("ACTIVE", variant="stable")), failed))
    assert (campaign.phase, campaign.worker) == (Phase.NOT_DONE, "b")
    late = step(arriving(), view(TIMEOUT_S, worker("a", said("LOADING")), members="a"))
    assert (late.phase, late.worker) == (Phase.NOT_DONE, None)


def test_another_version_of_the_same_name_is_not_the_one() -> None:
    other = said("ACTIVE", variant="stable", digest="3" * 64)
    campaign = step(arriving(), view(1, worker("a", other), members="a"))
    assert lines(campaign, 1) == ["a: not begun (0 s)"]
    both = step(campaign, view(2, worker("a", other, said("LOADING")), members="a"))
    assert lines(both, 2) == ["a: LOADING (0 s)"]


def test_of_two_references_to_a_version_the_one_that_is_furthest_counts() -> None:
    for rows in ((said("LOADING"), said("ACTIVE", variant="stable")), (said("RETIRING"), said("FAILED"))):
        assert step(preparing(), view(1, worker("a", *rows), members="a")).phase is Phase.SWITCH


STATES = st.sampled_from(["FETCHING", "LOADING", "READY", "ACTIVE", "RETIRING", "FAILED", "SOMETHING NEWER"])
STATUSES = st.builds(
    lambda name, states, revision: worker(name, *states, revision=revision),
    st.sampled_from("abc"),
    st.lists(st.builds(said, STATES, variant=st.sampled_from([None, "stable", "canary"])), max_size=2),
    st.integers(3, 6),
)
VIEWS = st.builds(
    lambda statuses, members, folded: view(0, *statuses, members=members, folded=folded),
    st.lists(STATUSES, max_size=3),
    st.none() | st.sets(st.sampled_from("abc")),
    st.sampled_from([EMPTY, log(OURS), log(OURS), log(OURS, replace(BOBS, revision=6))]),
)


@given(views=st.lists(VIEWS, max_size=8), pauses=st.lists(st.floats(0, 20), min_size=8, max_size=8))
def test_every_wait_ends_by_its_timeout_and_in_its_own_half(views: list[View], pauses: list[float]) -> None:
    for begun, ends in (
        (preparing(), {Phase.SWITCH, Phase.WITHDRAW, Phase.LOST}),
        (arriving(), {Phase.DONE, Phase.NOT_DONE, Phase.LOST}),
    ):
        campaign, now_s = begun, 0.0
        for look, pause_s in zip(views, pauses, strict=False):
            now_s += pause_s
            campaign = step(campaign, replace(look, now_s=now_s))
            assert campaign.is_over == (campaign.phase in ends)
            assert (campaign.spread_s is not None) == (campaign.phase is Phase.DONE)
            assert (campaign.reason is not None) == (campaign.phase in {Phase.WITHDRAW, Phase.NOT_DONE, Phase.LOST})
        assert step(campaign, view(now_s + TIMEOUT_S, members=())).is_over


@given(look=VIEWS)
def test_nothing_is_switched_to_that_a_live_worker_does_not_hold(look: View) -> None:
    campaign = step(preparing(), look)
    if campaign.phase is Phase.SWITCH:
        assert look.live
        for name in look.live:
            assert {"READY", "ACTIVE", "RETIRING"} & {one.state for one in look.statuses[name].versions}
