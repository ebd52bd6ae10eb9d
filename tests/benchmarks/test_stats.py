import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import cell, ratios, slope, spread

RATES = st.lists(st.floats(min_value=1.0, max_value=1e6), min_size=1, max_size=9)


@given(RATES)
def test_a_median_lies_between_the_lowest_and_the_highest(values: list[float]) -> None:
    found = spread(values)
    assert found.low == min(values)
    assert found.high == max(values)
    assert found.low <= found.median <= found.high


@given(RATES)
def test_whoever_is_compared_with_himself_has_the_ratio_one(values: list[float]) -> None:
    found = ratios(values, values)
    assert (found.low, found.median, found.high) == (1.0, 1.0, 1.0)


def test_a_ratio_compares_runs_of_one_round_and_not_the_medians() -> None:
    # The second round met a machine of half the speed: both were slower, and the ratio is the same.
    assert ratios([100.0, 50.0, 90.0], [200.0, 100.0, 180.0]).high == 0.5


def test_rounds_that_one_of_two_missed_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_no_run_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        spread([])


def test_a_slope_is_that_of_the_line_through_the_values() -> None:
    assert slope([0.0, 1.0, 2.0, 3.0], [5.0, 7.0, 9.0, 11.0]) == pytest.approx(2.0)
    assert slope([0.0, 1.0, 2.0], [4.0, 4.0, 4.0]) == pytest.approx(0.0)


def test_a_cell_shows_the_median_and_how_far_the_runs_lie_apart() -> None:
    assert cell(spread([1000.0, 3000.0, 2000.0]), ",.0f") == "2,000 (1,000 to 3,000)"
