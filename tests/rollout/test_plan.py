"""What a worker does, from one look at what should serve and what is here."""

from dataclasses import replace

import pytest

from stream_infer.model.lifecycle import State
from stream_infer.rollout.plan import (
    USABLE,
    Action,
    Cancel,
    Forget,
    Free,
    Load,
    Retire,
    Serve,
    Snapshot,
    find_holding,
    plan,
)
from stream_infer.rollout.record import VersionRef
from tests.rollout.looks import KEEP_S, NOW_S, PINNED, STARTED, V1, V2, V3, actions, choice, held, looks, wants

ONE = choice(1, V1)


def test_what_is_named_and_not_here_is_loaded() -> None:
    assert actions(looks(wants(1, V1))) == (Load(V1, allow_output_change=False),)
    allowed = replace(wants(1, V1), allow_output_change=True)
    assert actions(looks(allowed)) == (Load(V1, allow_output_change=True),)


@pytest.mark.parametrize(
    ("here", "expected"),
    [((), V1), ((V1,), V2), ((V1, V2), V3)],
    ids=["stable first", "then the canary", "then what is prepared"],
)
def test_one_version_is_loaded_at_a_time(here: tuple[VersionRef, ...], expected: VersionRef) -> None:
    desired = wants(1, V1, V3, canary=V2)
    serving = choice(1, V1, canary=V2 if V2 in here else None) if here else None
    snapshot = looks(desired, *(held(ref, State.ACTIVE) for ref in here), serving=serving)
    assert actions(snapshot) == (Load(expected, allow_output_change=False),)


@pytest.mark.parametrize("state", STARTED)
def test_nothing_is_loaded_beside_a_load(state: State) -> None:
    assert actions(looks(wants(1, V1, V2), held(V1, state), loading=V1)) == ()


def test_a_load_that_the_newest_state_does_not_name_is_given_up_and_the_next_begins() -> None:
    snapshot = looks(wants(3, V3), held(V1, State.ACTIVE), held(V2, State.LOADING, revision=2), loading=V2, serving=ONE)
    assert actions(snapshot) == (Cancel(V2), Load(V3, allow_output_change=False))


def test_a_load_that_a_newer_state_still_names_goes_on() -> None:
    snapshot = looks(wants(3, V1, V2), held(V1, State.ACTIVE), held(V2, State.LOADING, revision=2), loading=V2)
    assert Cancel(V2) not in actions(snapshot)


@pytest.mark.parametrize("state", sorted(USABLE))
def test_a_stable_version_that_is_warm_serves_at_once(state: State) -> None:
    snapshot = looks(wants(2, V2), held(V1, State.ACTIVE), held(V2, state), serving=ONE)
    assert actions(snapshot) == (Serve(choice(2, V2)),)


def test_the_newest_revision_is_on_the_predictions_though_no_version_changed() -> None:
    assert actions(looks(wants(2, V1), held(V1, State.ACTIVE), serving=ONE)) == (Serve(choice(2, V1)),)


def test_what_serves_stays_whole_until_the_new_stable_version_is_ready() -> None:
    serving = choice(1, V1, canary=V2)
    here = (held(V1, State.ACTIVE), held(V2, State.ACTIVE))
    for waiting in (held(V3, State.WARMING, revision=2), held(V3, State.FAILED, revision=2)):
        loading = V3 if waiting.life.state is State.WARMING else None
        assert actions(looks(wants(2, V3), *here, waiting, serving=serving, loading=loading)) == ()


def test_stable_serves_alone_until_the_canary_is_ready() -> None:
    desired = wants(2, V1, canary=V2)
    loading = looks(desired, held(V1, State.ACTIVE), held(V2, State.LOADING), loading=V2, serving=ONE)
    assert actions(loading) == (Serve(choice(2, V1)),)
    ready = looks(desired, held(V1, State.ACTIVE), held(V2, State.READY), serving=choice(2, V1))
    assert actions(ready) == (Serve(choice(2, V1, canary=V2)),)


def test_a_version_is_compared_with_the_stable_one_that_serves_when_its_load_begins() -> None:
    snapshot = looks(wants(2, V2, canary=V3), held(V1, State.ACTIVE), held(V2, State.READY), serving=ONE)
    assert actions(snapshot) == (Serve(choice(2, V2)),)


def test_a_canary_that_tripped_answers_nothing_in_this_revision_and_again_in_the_next() -> None:
    here = (held(V1, State.ACTIVE), held(V2, State.ACTIVE))
    serving = choice(2, V1, canary=V2)
    tripped = looks(wants(2, V1, canary=V2), *here, serving=serving, tripped_revision=2)
    assert actions(tripped) == (Serve(choice(2, V1)),)
    newer = looks(wants(3, V1, canary=V2), *here, serving=choice(2, V1), tripped_revision=2)
    assert actions(newer) == (Serve(choice(3, V1, canary=V2)),)


def test_a_canary_that_trips_while_a_newer_stable_version_loads_stops_too() -> None:
    here = (held(V1, State.ACTIVE), held(V2, State.ACTIVE), held(V3, State.LOADING, revision=3))
    serving = choice(2, V1, canary=V2)
    snapshot = looks(wants(3, V3), *here, serving=serving, tripped_revision=2, loading=V3)
    assert actions(snapshot) == (Serve(choice(2, V1)),)


def test_what_failed_is_tried_again_only_when_a_newer_revision_names_it() -> None:
    here = (held(V1, State.ACTIVE), held(V2, State.FAILED, revision=2))
    assert actions(looks(wants(2, V2), *here, serving=ONE)) == ()
    assert actions(looks(wants(3, V2), *here, serving=ONE)) == (Load(V2, allow_output_change=False),)


def test_what_failed_and_is_named_no_more_is_forgotten_once_something_serves() -> None:
    failed = held(V2, State.FAILED, revision=2)
    assert actions(looks(wants(3, V1), held(V1, State.ACTIVE), failed, serving=choice(3, V1))) == (Forget(V2),)
    assert actions(looks(wants(3, V1), held(V1, State.LOADING), failed, loading=V1)) == ()


def test_what_was_prepared_and_withdrawn_goes_at_once() -> None:
    snapshot = looks(wants(1, V1), held(V1, State.ACTIVE), held(V2, State.READY), serving=ONE)
    assert actions(snapshot) == (Retire(V2),)


@pytest.mark.parametrize(("age_s", "expected"), [(KEEP_S - 1, ()), (KEEP_S, (Free(V2),))])
def test_what_served_is_kept_for_a_while(age_s: float, expected: tuple[Action, ...]) -> None:
    retiring = held(V2, State.RETIRING, since_s=NOW_S - age_s)
    made = plan(looks(wants(1, V1), held(V1, State.ACTIVE), retiring, serving=ONE))
    assert made.actions == expected
    assert made.next_s == (None if expected else NOW_S + 1)


def test_what_is_prepared_is_kept_though_its_while_is_over() -> None:
    retiring = held(V2, State.RETIRING, since_s=0)
    assert actions(looks(wants(1, V1, V2), held(V1, State.ACTIVE), retiring, serving=ONE)) == ()


def test_a_version_is_known_by_its_digest_under_another_reference() -> None:
    found = held(V2, State.READY, digest=PINNED.sha256)
    assert find_holding((found,), PINNED) == found
    snapshot = looks(wants(2, PINNED), held(V1, State.ACTIVE), found, serving=ONE)
    assert actions(snapshot) == (Serve(choice(2, V2)),)


def test_the_same_digest_under_another_name_is_another_version() -> None:
    assert find_holding((held(replace(PINNED, version="3"), State.READY),), PINNED) is None


def test_a_failure_speaks_for_its_own_reference_alone() -> None:
    elsewhere = replace(PINNED, uri="s3://models.example/fraud/2")
    assert find_holding((held(elsewhere, State.FAILED),), PINNED) is None


def test_a_worker_is_in_step_when_what_is_named_serves() -> None:
    here = (held(V1, State.ACTIVE), held(V2, State.ACTIVE))
    made = plan(looks(wants(2, V1, canary=V2), *here, serving=choice(2, V1, canary=V2)))
    assert (made.in_step, made.skew) == (True, None)


def test_a_worker_is_out_of_step_while_something_that_should_answer_is_on_its_way() -> None:
    here = held(V1, State.ACTIVE)
    assert not plan(looks(wants(2, V2), here, serving=ONE)).in_step
    assert not plan(looks(wants(2, V1), here, serving=ONE)).in_step
    assert not plan(looks(wants(1, V1, canary=V2), here, held(V2, State.WARMING), loading=V2, serving=ONE)).in_step
    assert not plan(looks(wants(1, V1), held(V1, State.FAILED, reason="broken"))).in_step


def test_what_is_only_prepared_keeps_nobody_out_of_step() -> None:
    for other in (held(V2, State.LOADING), held(V2, State.FAILED)):
        assert plan(looks(wants(1, V1, V2), held(V1, State.ACTIVE), other, serving=ONE)).in_step


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        (
            looks(
                wants(2, V2), held(V1, State.ACTIVE), held(V2, State.FAILED, revision=2, reason="broken"), serving=ONE
            ),
            "version 2, which revision 2 names, failed here (broken): version 1 of revision 1 serves",
        ),
        (
            looks(
                wants(1, V1, canary=V2),
                held(V1, State.ACTIVE),
                held(V2, State.FAILED, reason="broken"),
                serving=choice(1, V1),
            ),
            "canary 2, which revision 1 names, failed here (broken): version 1 of revision 1 serves alone",
        ),
        (
            looks(
                wants(1, V1, canary=V2),
                held(V1, State.ACTIVE),
                held(V2, State.RETIRING),
                serving=choice(1, V1),
                tripped_revision=1,
            ),
            "canary 2, which revision 1 names, was stopped here by its limits: version 1 of revision 1 serves alone",
        ),
    ],
    ids=["stable failed", "canary failed", "canary tripped"],
)
def test_a_worker_that_cannot_do_more_is_in_step_and_says_what_is_missing(snapshot: Snapshot, said: str) -> None:
    made = plan(snapshot)
    assert (made.actions, made.in_step, made.skew) == ((), True, said)


def test_without_a_desired_state_what_serves_goes_on() -> None:
    made = plan(looks(None, held(V1, State.ACTIVE), serving=ONE))
    assert (made.actions, made.in_step, made.skew) == ((), True, None)
    assert not plan(looks(None)).in_step
