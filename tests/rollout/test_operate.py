"""What an operator's word makes of the desired state."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given

from stream_infer.errors import Stop
from stream_infer.rollout.fold import Counted, Entry, Folded, Outcome, fold
from stream_infer.rollout.operate import (
    Issued,
    abort,
    apply,
    canary,
    is_same_version,
    promote,
    rollback,
    start_prepare,
    switch,
    with_baseline,
    withdraw,
)
from stream_infer.rollout.record import Canary, Desired, TripLimits, VersionRef, parse_desired, to_json
from tests.rollout.states import desired_states

V1, V2, V3 = (VersionRef(name) for name in "123")
PINNED_2 = VersionRef("2", sha256="2" * 64)
ANN = Issued(at="2024-05-01T12:00:00Z", by="ann@desk", reason="better")
LIMITS = TripLimits(max_error_ratio=0.01)
EMPTY = Folded("fraud", "scoring")

Word = Callable[[Folded], Desired]


def after(*states: Desired) -> Folded:
    """Return the log in which these states counted, with offsets of their revisions."""
    history = tuple(Counted(state.revision, 0, state) for state in states)
    return Folded("fraud", "scoring", history, states[-1].revision + 1)


def state(revision: int, stable: VersionRef, *prepared: VersionRef, beside: Canary | None = None) -> Desired:
    return Desired("fraud", revision, stable, beside, prepared)


def counts(folded: Folded, desired: Desired) -> Folded:
    """Return the log after an operator's word, as every worker reads it."""
    entry = Entry(folded.next_offset, b"fraud", to_json(desired), 0)
    folded, verdict = fold(folded, entry)
    assert verdict.outcome is Outcome.APPLIED, verdict.reason
    assert folded.current == desired
    return folded


RUNNING = Canary(V2, 500, "fraud/3", LIMITS)
WORDS: dict[str, Word] = {
    "prepare": lambda log: start_prepare(log, V3, issued=ANN),
    "switch": lambda log: switch(log, V3, issued=ANN),
    "withdraw": lambda log: withdraw(log, V3, issued=ANN),
    "canary": lambda log: canary(log, V3, hundredths=100, issued=ANN),
    "promote": lambda log: promote(log, issued=ANN),
    "rollback": lambda log: rollback(log, issued=ANN),
    "abort": lambda log: abort(log, issued=ANN),
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_every_word_is_the_next_revision_and_says_who_when_and_why(word: Word) -> None:
    log = after(state(1, V3), state(4, V1, V3, beside=RUNNING))
    said = word(log)
    assert (said.model, said.revision, said.application_id) == ("fraud", 5, "scoring")
    assert Issued(said.issued_at, said.issued_by, said.reason) == ANN
    counts(log, said)


def test_a_start_prepares_first_and_lets_everything_answer_as_before() -> None:
    said = start_prepare(after(state(1, V1, beside=RUNNING)), V3, issued=ANN)
    assert (said.stable, said.canary, said.prepared) == (V1, RUNNING, (V3,))


def test_a_start_supersedes_what_another_start_prepared() -> None:
    assert start_prepare(after(state(1, V1, V2)), V3, issued=ANN).prepared == (V3,)


def test_a_switch_ends_the_canary_and_what_was_prepared() -> None:
    said = switch(after(state(1, V1, V2, V3, beside=RUNNING)), V3, issued=ANN, allow_output_change=True)
    assert (said.stable, said.canary, said.prepared, said.allow_output_change) == (V3, None, (), True)


def test_a_switch_needs_no_state_before_it() -> None:
    assert switch(EMPTY, V1, issued=ANN).revision == 1


def test_a_withdrawn_version_is_prepared_no_more_and_others_are() -> None:
    said = withdraw(after(state(1, V1, V2, V3)), PINNED_2, issued=ANN)
    assert (said.stable, said.prepared) == (V1, (V3,))


def test_a_canary_keeps_its_seed_while_its_share_grows() -> None:
    log = after(state(6, V1))
    first = canary(log, V2, hundredths=100, limits=LIMITS, issued=ANN)
    assert first.canary == Canary(V2, 100, "fraud/7", LIMITS)
    second = canary(counts(log, first), PINNED_2, hundredths=2_000, issued=ANN)
    assert second.canary == Canary(PINNED_2, 2_000, "fraud/7", LIMITS)


def test_another_canary_has_another_seed_and_its_own_limits() -> None:
    said = canary(after(state(6, V1, beside=RUNNING)), V3, hundredths=100, issued=ANN)
    assert said.canary == Canary(V3, 100, "fraud/7", None)


def test_a_promoted_canary_is_stable_and_no_canary() -> None:
    said = promote(after(state(1, V1, V3, beside=RUNNING)), issued=ANN)
    assert (said.stable, said.canary, said.prepared) == (V2, None, ())


def test_a_rollback_leads_to_the_stable_version_before_whatever_its_outputs_and_ends_the_canary() -> None:
    log = after(state(1, V1), state(2, V2), state(3, V3), state(4, V3, beside=RUNNING))
    said = rollback(log, issued=ANN)
    assert (said.stable, said.canary, said.allow_output_change) == (V2, None, True)
    assert rollback(counts(log, said), issued=ANN).stable == V3


def test_a_rollback_knows_a_version_that_was_pinned_later() -> None:
    assert rollback(after(state(1, V1), state(2, V2), state(3, PINNED_2)), issued=ANN).stable == V1


def test_before_the_first_revision_the_version_of_the_settings_is_what_words_go_on_from() -> None:
    log = with_baseline(EMPTY, V1)
    prepared = start_prepare(log, V2, issued=ANN)
    assert (prepared.revision, prepared.stable) == (1, V1)
    switched = switch(log, V2, issued=ANN)
    assert rollback(with_baseline(counts(EMPTY, switched), V1), issued=ANN).stable == V1


def test_an_abort_ends_the_canary_and_what_was_prepared() -> None:
    said = abort(after(state(1, V1, V3, beside=RUNNING)), issued=ANN)
    assert (said.stable, said.canary, said.prepared) == (V1, None, ())


@pytest.mark.parametrize(
    ("word", "log", "said"),
    [
        ("prepare", EMPTY, "the control topic names no version of fraud yet and model.version is not set"),
        ("withdraw", after(state(4, V1)), "version 3 is not prepared by revision 4"),
        ("canary", after(state(4, V3)), "version 3 is stable in revision 4, expected another one as canary"),
        ("promote", after(state(4, V1)), "revision 4 has no canary: there is nothing to promote"),
        ("rollback", after(state(4, V1)), "no other version than 1 was ever stable: there is nothing to roll back to"),
        ("abort", after(state(4, V1)), "revision 4 has no canary and prepares nothing: there is nothing to abort"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_missing(word: str, log: Folded, said: str) -> None:
    with pytest.raises(Stop, match=said):
        WORDS[word](log)


def test_a_canary_of_more_than_everything_is_refused() -> None:
    with pytest.raises(Stop, match=r"the canary's share is 100\.01 percent, expected 0 to 100"):
        canary(after(state(4, V1)), V2, hundredths=10_001, issued=ANN)


def test_versions_are_the_same_as_far_as_their_references_say() -> None:
    assert is_same_version(V2, PINNED_2)
    assert not is_same_version(V2, V3)
    assert not is_same_version(PINNED_2, replace(PINNED_2, sha256="3" * 64))


@given(said=desired_states)
def test_a_state_that_was_exported_changes_nothing_when_it_is_applied(said: Desired) -> None:
    said = replace(said, application_id=None)
    log = Folded(said.model, "scoring", (Counted(3, 0, said),), 4)
    exported = parse_desired(to_json(said), next_revision=said.revision + 1)
    assert apply(log, exported, issued=ANN) is None


@given(said=desired_states)
def test_on_an_empty_log_a_file_is_written_as_it_is(said: Desired) -> None:
    for log in (Folded(said.model, "scoring"), with_baseline(Folded(said.model, "scoring"), said.stable)):
        written = apply(log, said, issued=ANN)
        assert written is not None
        assert (written.revision, written.stable, written.canary) == (1, said.stable, said.canary)


@pytest.mark.parametrize(
    "file",
    [
        b'{"model":"fraud","stable":{"version":"2"}}',
        b'{"model":"fraud","revision":77,"stable":{"version":"2"},"reason":"again"}',
        b'{"model":"fraud","stable":{"version":"2"},"canary":{"version":"3","percent":5}}',
    ],
)
def test_a_file_that_a_person_wrote_is_applied_once(file: bytes) -> None:
    beside = Canary(replace(V3, size_bytes=7), 500, "fraud/2") if b"canary" in file else None
    log = after(state(2, PINNED_2, beside=beside))
    assert apply(log, parse_desired(file, next_revision=3), issued=ANN) is None


def test_a_file_that_says_something_else_is_the_next_revision() -> None:
    log = after(state(2, PINNED_2, beside=RUNNING))
    written = apply(log, parse_desired(b'{"model":"fraud","stable":{"version":"2"}}', next_revision=3), issued=ANN)
    assert written == replace(
        state(3, PINNED_2),
        application_id="scoring",
        issued_at=ANN.at,
        issued_by=ANN.by,
        reason=ANN.reason,
    )


def test_another_models_file_is_refused() -> None:
    with pytest.raises(Stop, match="the file is for model churn, expected fraud"):
        apply(EMPTY, Desired("churn", 1, V1), issued=ANN)
