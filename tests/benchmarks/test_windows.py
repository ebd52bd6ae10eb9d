"""Quantiles of latencies that are known to the millisecond."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.windows import RECORD, Arrivals, Span, Swap, phases, quantile


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


def test_a_swap_is_cut_at_the_states_that_its_version_entered() -> None:
    swap = Swap(1, "2", 1000.0, 4000.0, {"ACTIVE": 3900.0, "LOADING": 2000.0, "RETIRING": 10.0})
    assert swap.phases(end_ms=5000.0) == [
        (RECORD, Span(1000.0, 2000.0)),
        ("LOADING", Span(2000.0, 3900.0)),
        ("ACTIVE", Span(3900.0, 5000.0)),
    ]


def test_a_phase_has_the_events_of_all_swaps_that_were_due_in_it() -> None:
    due = np.array([0.0, 10.0, 20.0, 100.0, 110.0])
    arrivals = Arrivals(due, due + np.array([1.0, 5.0, 5.0, 9.0, 2.0]))
    first, second = (
        [("A", Span(0.0, 10.0)), ("B", Span(10.0, 30.0))],
        [("B", Span(100.0, 110.0)), ("C", Span(1.0, 2.0))],
    )
    found = phases(arrivals, [first, second], limit_ms=4.0)
    assert [(one.state, one.events, one.slow) for one in found] == [("A", 1, 0), ("B", 3, 3)]
    assert found[1].seconds == pytest.approx(0.015)
    assert found[1].p50_ms == 5.0
