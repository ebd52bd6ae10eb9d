"""Negative controls of I10: a history across two rollouts holds, and with one mutation the checker says what broke."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.checker.history import CANARY, STABLE, History, Place, Prediction, Retry
from tests.checker.laws import check
from tests.checker.recorded import REFERENCES
from tests.checker.recorded_rollouts import KEYS, PER_ROLLOUT, ROLLOUTS, STEP_US, answer_under, rolled
from tests.checker.rollouts import one_version_at_a_time, share_of

Change = Callable[[Prediction], Prediction]
VECTORS = Path(__file__).parents[2] / "schemas" / "canary_vectors.json"
FIRST_OF_2 = 2 * PER_ROLLOUT


def with_answer(history: History, at: int, change: Change) -> History:
    changed = [change(one) if one.source.offset == at else one for one in history.predictions]
    return replace(history, predictions=changed)


def as_under(revision: int) -> Change:
    """Return a change of an answer to what it would be under another revision, in a batch of its own."""

    def change(one: Prediction) -> Prediction:
        event = rolled().events[one.source.offset]
        other = answer_under(ROLLOUTS[revision], event)
        later_us = max(one.inferred_at_us, other.inferred_at_us) + 1
        return other._replace(inferred_at_us=later_us)

    return change


def offset_of(variant: str) -> int:
    """Return where the canary's revision is first answered by a variant, late enough for every worker."""
    half = [one for one in rolled().predictions if one.revision == 1 and one.source.offset % PER_ROLLOUT >= KEYS]
    return next(one.source.offset for one in half if one.variant == variant)


def without_statuses_of(version: str) -> History:
    said = [one._replace(versions=tuple(v for v in one.versions if v.version != version)) for one in rolled().said]
    return replace(rolled(), said=said)


def tripped() -> History:
    said = [one._replace(tripped="too many errors") if one.applied_revision == 1 else one for one in rolled().said]
    return replace(rolled(), said=said)


def failed(version: str) -> History:
    more = [one._replace(state="FAILED") for one in rolled().said[-1].versions if one.version == version]
    return replace(rolled(), said=[*rolled().said, rolled().said[-1]._replace(versions=tuple(more))])


def to_stable(one: Prediction) -> Prediction:
    return one._replace(variant=STABLE, version="1", digest="digest-of-1")


def to_canary(one: Prediction) -> Prediction:
    return one._replace(variant=CANARY, version="2", digest="digest-of-2")


MUTATED: list[tuple[str, str, History]] = [
    ("another version than the revision names", "canary of revision 0 is None", with_answer(rolled(), 1, to_canary)),
    ("a variant that is not", "canary of revision 2 is None", with_answer(rolled(), FIRST_OF_2, to_canary)),
    ("a revision that never counted", "never counted", with_answer(rolled(), 20, lambda o: o._replace(revision=7))),
    (
        "an answer from before the rollout was told",
        "before it was told",
        with_answer(rolled(), FIRST_OF_2, lambda o: o._replace(inferred_at_us=o.inferred_at_us - STEP_US)),
    ),
    ("a version that was never ACTIVE", "nowhere ACTIVE", without_statuses_of("2")),
    ("a version of another digest", "nowhere ACTIVE", with_answer(rolled(), 3, lambda o: o._replace(digest="other"))),
    (
        "a batch of two versions",
        "in one batch",
        with_answer(rolled(), 1, lambda o: o._replace(version="2", digest="digest-of-2")),
    ),
    ("a partition goes back", "under revision 0", with_answer(rolled(), FIRST_OF_2 + 1, as_under(0))),
    ("a partition goes ahead and back", "under revision 0", with_answer(rolled(), 2, as_under(2))),
    (
        "a key goes back to the canary's revision",
        "under revision 1",
        with_answer(rolled(), FIRST_OF_2 + 5, as_under(1)),
    ),
    ("a key of the canary is answered by stable", "with share", with_answer(rolled(), offset_of(CANARY), to_stable)),
    ("a key of stable is answered by the canary", "with share", with_answer(rolled(), offset_of(STABLE), to_canary)),
]


def found(history: History) -> list[str]:
    return [violation.found for violation in one_version_at_a_time(history)]


def test_a_history_across_rollouts_breaks_no_law() -> None:
    assert check(rolled(), REFERENCES) == []


@pytest.mark.parametrize(("said", "history"), [row[1:] for row in MUTATED], ids=[row[0] for row in MUTATED])
def test_one_mutation_of_who_answers_is_caught(said: str, history: History) -> None:
    assert any(said in sentence for sentence in found(history))
    assert "I10" in {violation.law for violation in check(history, REFERENCES)}


def test_a_partition_may_go_back_where_a_worker_reported_that_it_cannot_load_what_is_newer() -> None:
    back = with_answer(rolled(), FIRST_OF_2 + 1, as_under(0))
    assert found(replace(back, said=failed("2").said)) == []
    assert found(replace(back, said=failed("1").said)) != []


def test_what_was_sent_back_is_answered_by_the_version_that_serves_by_then() -> None:
    later = with_answer(rolled(), 1, as_under(2))
    assert found(later) != []
    assert found(replace(later, retries=[Retry(Place("retry", 0, 0), Place("in", 0, 1))])) == []


def test_a_canary_that_tripped_may_be_answered_by_stable_and_stable_never_by_the_canary() -> None:
    assert found(with_answer(tripped(), offset_of(CANARY), to_stable)) == []
    assert found(with_answer(tripped(), offset_of(STABLE), to_canary)) != []


def test_variants_may_overtake_one_another_while_a_canary_runs_and_keys_may_not() -> None:
    assert found(with_answer(rolled(), FIRST_OF_2 + 1, as_under(1))) == []
    first, second, *_ = (row for row, one in enumerate(rolled().predictions) if one.revision == 1)
    assert order_broken(rolled(), first, second) == set()
    assert order_broken(rolled(), first, first + KEYS) == {"I4"}
    assert order_broken(rolled(), 0, 1) == {"I4"}


def order_broken(history: History, row: int, other: int) -> set[str]:
    """Return the laws broken when two answers change places."""
    predictions = list(history.predictions)
    predictions[row], predictions[other] = predictions[other], predictions[row]
    return {violation.law for violation in check(replace(history, predictions=predictions), REFERENCES)}


def test_a_replay_by_another_version_is_a_second_answer_to_the_same_position_and_no_fault() -> None:
    answer = rolled().predictions[PER_ROLLOUT - 1]
    again = as_under(2)(answer)._replace(place=Place("out", 0, 99))
    assert check(replace(rolled(), predictions=[*rolled().predictions, again]), REFERENCES) == []


def test_the_share_of_a_key_is_what_other_programs_compute() -> None:
    # printf 'fraud/6\0customer-1' | b2sum | cut -c 1-16 says da68880766c21320.
    assert share_of(b"customer-1", Place("in", 0, 0), "fraud/6") == 0xDA68880766C21320 % 10_000


def test_the_share_is_that_of_the_published_vectors() -> None:
    published = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    assert [share_of(key_of(one), place_of(one), one["seed"]) for one in published] == [
        one["share"] for one in published
    ]


def key_of(vector: Mapping[str, Any]) -> bytes | None:
    return None if vector["key_hex"] is None else bytes.fromhex(vector["key_hex"])


def place_of(vector: Mapping[str, Any]) -> Place:
    return Place(vector["topic"], vector["partition"], vector["offset"])
