"""Quantiles of latencies that are known to the millisecond."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.windows import quantile


@given(st.lists(st.integers(0, 20), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_a_quantile_of_whole_steps_lies_in_the_step_above_a_value(values: list[int], fraction: float) -> None:
    found = quantile(np.array(values, dtype=np.float64), fraction, step_ms=1.0)
    assert any(value <= found <= value + 1.0 for value in values)


def test_where_a_value_is_split_unevenly_the_quantile_moves_within_its_step() -> None:
    early, late = np.array([1.0, 2.0, 2.0, 2.0, 2.0]), np.array([2.0, 2.0, 2.0, 2.0, 3.0])
    assert quantile(early, 0.5, step_ms=1.0) < 2.5 < quantile(late, 0.5, step_ms=1.0)
    assert quantile(np.array([1.0, 2.0, 3.0]), 0.5, step_ms=1.0) == 2.5


def test_times_that_are_exact_are_left_as_they_are() -> None:
    assert quantile(np.array([1.0, 2.0, 4.0]), 0.5) == pytest.approx(2.0)
