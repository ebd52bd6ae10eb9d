"""What holds of a plan, whatever a worker looks like."""

from hypothesis import given
from hypothesis import strategies as st

from stream_infer.model.lifecycle import State
from stream_infer.rollout.plan import USABLE, Cancel, Forget, Free, Holding, Load, Retire, Serve, Snapshot, plan
from tests.rollout.looks import NOW_S, PINNED, STARTED, V1, V2, V3, actions, choice, held, looks, wants

REFS = st.sampled_from([V1, V2, V3, PINNED])
HOLDINGS = st.lists(
    st.builds(
        held, REFS, st.sampled_from(State), revision=st.integers(1, 4), since_s=st.sampled_from([0.0, NOW_S - 1, NOW_S])
    ),
    unique_by=lambda one: one.ref,
).map(tuple)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any look that a worker may have: what serves is ACTIVE, and one version at most is on its way."""
    holdings: tuple[Holding, ...] = draw(HOLDINGS)
    started = [one for one in holdings if one.life.state in STARTED][:1]
    holdings = tuple(one for one in holdings if one.life.state not in STARTED) + tuple(started)
    active = [one.ref for one in holdings if one.life.state is State.ACTIVE]
    serving = choice(draw(st.integers(1, 4)), active[0], canary=next(iter(active[1:]), None)) if active else None
    desired = st.builds(wants, st.integers(1, 4), REFS, REFS, canary=st.none() | REFS)
    return looks(
        draw(st.none() | desired),
        *holdings,
        serving=serving,
        tripped_revision=draw(st.none() | st.integers(1, 4)),
        loading=started[0].ref if started else None,
    )


@given(snapshot=snapshots())
def test_only_versions_that_are_warm_ever_serve(snapshot: Snapshot) -> None:
    states = {one.ref: one.life.state for one in snapshot.holdings}
    for action in actions(snapshot):
        if isinstance(action, Serve):
            refs = {action.choice.stable, *([action.choice.canary.ref] if action.choice.canary else [])}
            assert {states[ref] for ref in refs} <= USABLE


@given(snapshot=snapshots())
def test_nothing_that_is_named_or_answers_is_let_go(snapshot: Snapshot) -> None:
    made = actions(snapshot)
    gone = {action.ref for action in made if isinstance(action, Retire | Free | Forget | Cancel)}
    desired, serving = snapshot.desired, snapshot.serving
    named = {desired.stable, *desired.prepared, *([desired.canary.ref] if desired.canary else [])} if desired else set()
    answers = {serving.stable, *([serving.canary.ref] if serving.canary else [])} if serving else set()
    chosen = {action.choice.stable for action in made if isinstance(action, Serve)}
    assert not gone & (named | answers | chosen)


@given(snapshot=snapshots())
def test_at_most_one_load_begins_and_none_beside_another(snapshot: Snapshot) -> None:
    made = actions(snapshot)
    loads = [action for action in made if isinstance(action, Load)]
    is_busy = snapshot.loading is not None and Cancel(snapshot.loading) not in made
    assert len(loads) <= (0 if is_busy else 1)


@given(snapshot=snapshots())
def test_a_worker_in_step_with_nothing_to_say_serves_what_is_named(snapshot: Snapshot) -> None:
    made = plan(snapshot)
    desired, serving = snapshot.desired, snapshot.serving
    if made.in_step and made.skew is None and desired and serving:
        assert serving.revision == desired.revision
        assert (serving.canary is None) == (desired.canary is None)
    assert not made.in_step or not any(isinstance(action, Serve) for action in made.actions)
