"""Which records of a control log count."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.rollout.fold import Entry, Folded, Outcome, Verdict, fold
from stream_infer.rollout.record import Desired, VersionRef

OURS = Folded("fraud", "scoring")


def value_of(model: str = "fraud", version: str = "2", **more: Any) -> bytes:
    return json.dumps({"model": model, "stable": {"version": version}, **more}).encode()


def entry(offset: int, value: bytes | None, *, key: bytes | None = b"fraud") -> Entry:
    return Entry(offset, key, value, 1_700_000_000_000 + offset)


def fold_all(folded: Folded, entries: Sequence[Entry]) -> tuple[Folded, list[Verdict]]:
    verdicts = []
    for one in entries:
        folded, verdict = fold(folded, one)
        verdicts.append(verdict)
    return folded, verdicts


def outcome_of(one: Entry, *, given_before: Sequence[Entry] = ()) -> Verdict:
    return fold_all(OURS, [*given_before, one])[1][-1]


VALUES = st.one_of(
    st.builds(
        value_of,
        model=st.sampled_from(["fraud", "fraud", "churn"]),
        version=st.sampled_from(["1", "2", "3", "../4"]),
        revision=st.none() | st.integers(-1, 12),
        application_id=st.sampled_from([None, None, "scoring", "other"]),
    ),
    st.sampled_from([None, b"", b"{", b"null", b'{"model":"fraud"}', b'{"model":"fraud","model":"fraud"}']),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """A log with gaps: valid, invalid, stale and replayed records, of us and of others."""
    offset = 0
    made: list[Entry] = []
    for _ in range(draw(st.integers(0, 25))):
        offset += draw(st.sampled_from([1, 1, 1, 2, 9]))
        if made and draw(st.integers(0, 4)) == 0:
            replayed = draw(st.sampled_from(made))
            made.append(entry(offset, replayed.value, key=replayed.key))
        else:
            key = draw(st.sampled_from([b"fraud", b"fraud", b"churn", b"\xff", None]))
            made.append(entry(offset, draw(VALUES), key=key))
    return made


@given(log=logs())
def test_two_folds_of_one_log_agree(log: list[Entry]) -> None:
    assert fold_all(OURS, log) == fold_all(OURS, log)


@given(log=logs(), data=st.data())
def test_a_fold_does_not_depend_on_how_the_log_is_cut(log: list[Entry], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    first, verdicts = fold_all(OURS, log[:cut])
    second, more = fold_all(first, log[cut:])
    assert (second, verdicts + more) == fold_all(OURS, log)


@given(log=logs())
def test_revisions_that_count_only_grow(log: list[Entry]) -> None:
    folded, verdicts = fold_all(OURS, log)
    revisions = [counted.desired.revision for counted in folded.history]
    assert all(one < later for one, later in pairwise([0, *revisions]))
    assert revisions == [verdict.revision for verdict in verdicts if verdict.outcome is Outcome.APPLIED]
    assert folded.revision == max(revisions, default=0)


@given(log=logs())
def test_what_does_not_count_changes_nothing_but_the_position(log: list[Entry]) -> None:
    folded = OURS
    for one in log:
        after, verdict = fold(folded, one)
        assert after.next_offset == one.offset + 1
        assert verdict.offset == one.offset
        assert (after.history == folded.history) == (verdict.outcome is not Outcome.APPLIED)
        folded = after


@given(log=logs())
def test_every_refusal_has_a_reason_and_nothing_else_has_one(log: list[Entry]) -> None:
    for verdict in fold_all(OURS, log)[1]:
        assert (verdict.reason is not None) == (verdict.outcome in {Outcome.STALE, Outcome.INVALID})


@given(log=logs())
def test_the_whole_log_again_behind_itself_changes_nothing(log: list[Entry]) -> None:
    numbered = [one for one in log if one.value is None or b'"revision": null' not in one.value]
    folded, _ = fold_all(OURS, numbered)
    again = [entry(folded.next_offset + one.offset, one.value, key=one.key) for one in numbered]
    assert fold_all(folded, again)[0].history == folded.history


def test_a_record_that_counts_is_the_current_state() -> None:
    folded, verdict = fold(OURS, entry(4, value_of(revision=7)))
    assert folded.current == Desired("fraud", 7, VersionRef("2"))
    assert folded.history[0].offset == 4
    assert folded.history[0].timestamp_ms == 1_700_000_000_004
    assert verdict == Verdict(Outcome.APPLIED, 4, 7)


def test_a_record_without_a_revision_counts_as_the_next() -> None:
    folded, _ = fold_all(OURS, [entry(0, value_of(revision=7)), entry(1, value_of(version="3"))])
    assert folded.revision == 8


def test_a_stale_record_is_told_which_revision_won() -> None:
    first = entry(3, value_of(revision=7))
    assert outcome_of(entry(4, value_of(revision=7, version="3")), given_before=[first]) == Verdict(
        Outcome.STALE, 4, 7, "revision is 7, expected more than 7: revision 7 counted at offset 3"
    )


def test_a_person_may_leave_the_key_out() -> None:
    assert outcome_of(entry(0, value_of(), key=None)).outcome is Outcome.APPLIED
    assert outcome_of(entry(0, value_of(model="churn"), key=None)).outcome is Outcome.OTHER


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"churn", value_of(), "the key is b'churn', expected the model's name 'fraud'"),
        (b"fraud", value_of(model="churn"), "the key is b'fraud', expected the model's name 'churn'"),
        (b"fraud", None, "the value is null, expected the whole desired state"),
        (None, None, "the value is null, expected the whole desired state"),
        (b"fraud", b"{}", "model is missing, expected text"),
        (b"fraud", value_of(format=2), "format is 2, expected 1, or a newer worker"),
        (None, value_of(stable=None), 'stable is missing, expected an object such as {"version": "2"}'),
    ],
)
def test_a_record_for_us_that_cannot_be_used_is_refused(key: bytes | None, value: bytes | None, reason: str) -> None:
    assert outcome_of(entry(2, value, key=key)) == Verdict(Outcome.INVALID, 2, None, reason)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"churn", value_of(model="churn")),
        (b"churn", value_of(model="other")),
        (b"churn", b"{ no JSON"),
        (b"churn", None),
        (b"\xff\xfe", b"\xff"),
        (b"fraud", value_of(application_id="other")),
        (b"fraud", value_of(application_id="other", format=2, stable=None)),
        (None, value_of(model="churn", stable=None)),
    ],
)
def test_records_for_others_are_no_business_of_ours(key: bytes | None, value: bytes | None) -> None:
    assert outcome_of(entry(2, value, key=key)) == Verdict(Outcome.OTHER, 2)


def test_an_entry_is_folded_once() -> None:
    folded, _ = fold(OURS, entry(4, value_of()))
    with pytest.raises(ValueError, match="at offset 4, expected 5 or later"):
        fold(folded, entry(4, value_of()))
