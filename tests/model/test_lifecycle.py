"""The table of a version's life: what leads where, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.model.lifecycle import MOVES, IllegalMove, Life, State

USUAL = [
    State.FETCHING,
    State.VERIFYING,
    State.LOADING,
    State.WARMING,
    State.READY,
    State.ACTIVE,
    State.RETIRING,
    State.GONE,
]
LAST = {State.GONE, State.FAILED}
states = st.sampled_from(State)


def test_a_good_version_goes_the_whole_way() -> None:
    life = Life(USUAL[0], 0.0)
    for at_s, state in enumerate(USUAL[1:], start=1):
        life = life.move(state, at_s=at_s)
    assert life == Life(State.GONE, 7.0)


def test_every_state_has_its_line_in_the_table() -> None:
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", USUAL[:4])
def test_a_version_fails_only_before_it_is_ready_and_says_why(state: State) -> None:
    assert Life(state, 1.0).move(State.FAILED, at_s=2.0, reason="wrong digest") == Life(
        State.FAILED, 2.0, "wrong digest"
    )
    assert {one for one, moves in MOVES.items() if State.FAILED in moves} == set(USUAL[:4])


def test_a_version_that_retires_can_serve_again_and_one_that_is_gone_cannot() -> None:
    assert State.ACTIVE in MOVES[State.RETIRING]
    assert [state for state, moves in MOVES.items() if not moves] == [State.GONE, State.FAILED]


def test_a_version_never_goes_from_active_to_gone_at_once() -> None:
    assert MOVES[State.ACTIVE] == {State.RETIRING}


@given(before=states, to=states)
def test_a_move_that_is_not_in_the_table_is_an_error_with_both_states(before: State, to: State) -> None:
    life = Life(before, 1.0)
    if to in MOVES[before]:
        assert life.move(to, at_s=2.0).state is to
    else:
        with pytest.raises(IllegalMove, match=rf"^a version cannot go from {before} to {to}$"):
            life.move(to, at_s=2.0)
    assert life == Life(before, 1.0)


@given(wanted=st.lists(states, max_size=40))
def test_whatever_is_asked_a_life_only_serves_after_it_was_ready(wanted: list[State]) -> None:
    life, been = Life(State.FETCHING, 0.0), {State.FETCHING}
    for to in wanted:
        try:
            life = life.move(to, at_s=0.0)
        except IllegalMove:
            continue
        been.add(life.state)
        assert State.ACTIVE not in been or State.READY in been
    assert not (life.state in LAST and MOVES[life.state])
