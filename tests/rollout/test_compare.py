"""Two streams of predictions, joined by source position."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.records import Partition
from stream_infer.rollout.compare import Answer, Change, Comparison, Quantile, Served, compare

EVENTS = Partition("events", 0)


def answer(offset: int, *scores: float, label: str | None = None, version: str = "1", partition: int = 0) -> Answer:
    best = float(scores.index(max(scores))) if scores else None
    return Answer(EVENTS._replace(partition=partition), offset, version, "stable", best, label, 0.5, scores)


def value(offset: int, prediction: float | None) -> Answer:
    return Answer(EVENTS, offset, "1", "stable", prediction, None, None, ())


def test_answers_are_joined_by_the_position_of_their_event() -> None:
    a = [answer(0, 0.25, 0.75), answer(1, 0.5, 0.25), answer(2, 1.0)]
    b = [answer(1, 0.5, 0.5, version="2"), answer(0, 0.75, 0.25, version="2"), answer(1, 1.0, partition=1)]
    found = compare(a, b)
    assert (found.compared, found.only_a, found.only_b) == (2, 1, 1)
    assert (found.predicted, found.agreeing, found.largest_difference) == (2, 1, 0.5)
    assert found.versions_a == (Served("1", "stable", 3),)
    assert found.versions_b == (Served("2", "stable", 2), Served("1", "stable", 1))


def test_the_first_answer_for_a_position_counts_also_after_it_was_compared() -> None:
    a = [answer(0, 0.5), answer(0, 0.75, version="2")]
    b = [answer(0, 0.5), answer(0, 0.25, version="2")]
    found = compare(a, b)
    assert (found.compared, found.repeated, found.only_a, found.only_b) == (1, 2, 0, 0)
    assert found.largest_difference == 0
    assert found.versions_a == found.versions_b == (Served("1", "stable", 1),)


def test_changes_of_label_are_counted_by_pair_the_most_frequent_first() -> None:
    pairs = [("legit", "fraud"), ("fraud", "fraud"), ("legit", "fraud"), ("fraud", "legit")]
    a = [answer(at, 1.0, label=one) for at, (one, _) in enumerate(pairs)]
    b = [answer(at, 1.0, label=other) for at, (_, other) in enumerate(pairs)]
    assert compare(a, b).changes == (Change("legit", "fraud", 2), Change("fraud", "legit", 1))


def test_classes_without_names_are_their_numbers_and_values_are_no_classes() -> None:
    assert compare([answer(0, 0.25, 0.75)], [answer(0, 0.75, 0.25)]).changes == (Change("1", "0", 1),)
    assert compare([value(0, 1.5)], [value(0, 2.5)]).changes == ()


@pytest.mark.parametrize(
    ("a", "b", "predicted", "agreeing"),
    [(1.5, 1.5, 1, 1), (1.5, 2.0, 1, 0), (None, 1.5, 0, 0), (None, None, 0, 0), (math.nan, math.nan, 1, 1)],
)
def test_predictions_agree_when_they_are_equal(a: float | None, b: float | None, predicted: int, agreeing: int) -> None:
    found = compare([value(0, a)], [value(0, b)])
    assert (found.predicted, found.agreeing) == (predicted, agreeing)


@pytest.mark.parametrize(
    ("a", "b", "largest"),
    [
        ((0.5, 0.5), (0.25, 0.5), 0.25),
        ((math.nan,), (math.nan,), 0.0),
        ((math.inf,), (math.inf,), 0.0),
        ((math.nan,), (0.5,), math.inf),
        ((math.inf,), (-math.inf,), math.inf),
        ((1e300,), (-1e300,), 2e300),
        ((), (), 0.0),
    ],
)
def test_the_difference_of_two_score_lists_is_that_of_their_worst_score(
    a: tuple[float, ...], b: tuple[float, ...], largest: float
) -> None:
    one = value(0, 1.0)
    assert compare([replace(one, scores=a)], [replace(one, scores=b)]).largest_difference == largest


def test_score_lists_of_different_lengths_are_counted_apart() -> None:
    found = compare([answer(0, 0.5)], [answer(0, 0.5, 0.5)])
    assert (found.other_lengths, found.largest_difference, found.differences) == (1, None, ())


def test_nothing_compares_with_nothing() -> None:
    assert compare([], []) == Comparison(0, 0, 0, 0, 0, 0, 0, (), 0, 0, (), None, (), ())


def test_when_too_many_wait_for_the_other_side_the_oldest_are_given_up_and_said_to_be() -> None:
    late = [answer(at, 1.0) for at in range(5)]
    found = compare(late, reversed(late), kept=1)
    assert found.dropped == 4
    assert found.compared + found.only_a == found.compared + found.only_b == 5


def shifted(by: Sequence[float]) -> tuple[list[Answer], list[Answer]]:
    scored = [value(at, 1.0) for at in range(len(by))]
    a = [replace(one, scores=(0.0,)) for one in scored]
    return a, [replace(one, scores=(each,)) for one, each in zip(scored, by, strict=True)]


def test_quantiles_of_equal_scores_are_exactly_none() -> None:
    assert compare(*shifted([0.0] * 3)).differences == tuple(Quantile(one, 0.0) for one in (0.5, 0.9, 0.99, 0.999))


@given(by=st.lists(st.floats(0, 1e5, allow_subnormal=False), min_size=1, max_size=50))
def test_a_quantile_is_never_too_low_and_at_most_a_step_too_high(by: list[float]) -> None:
    found = compare(*shifted(by))
    ordered = sorted(by)
    for quantile in found.differences:
        exact = ordered[math.ceil(quantile.share * len(by)) - 1]
        assert exact <= quantile.at_most <= max(exact * 1.04, 1e-12)
    assert found.largest_difference == ordered[-1]


ANSWERS = st.lists(
    st.builds(answer, st.integers(0, 12), st.sampled_from([0.0, 0.5]), partition=st.integers(0, 2)), max_size=30
)


@given(a=ANSWERS, b=ANSWERS)
def test_every_position_is_compared_or_is_on_one_side_alone(a: list[Answer], b: list[Answer]) -> None:
    found = compare(a, b)
    of_a, of_b = ({(one.source, one.offset) for one in side} for side in (a, b))
    assert found.compared == len(of_a & of_b)
    assert (found.only_a, found.only_b) == (len(of_a - of_b), len(of_b - of_a))
    assert found.repeated == len(a) + len(b) - len(of_a) - len(of_b)
    assert sum(one.count for one in found.versions_a) == len(of_a)


@given(a=ANSWERS, b=ANSWERS)
def test_the_sides_may_be_exchanged(a: list[Answer], b: list[Answer]) -> None:
    one, other = compare(a, b), compare(b, a)
    assert (one.compared, one.agreeing, one.largest_difference) == (
        other.compared,
        other.agreeing,
        other.largest_difference,
    )
    assert (one.only_a, one.only_b, one.differences) == (other.only_b, other.only_a, other.differences)
