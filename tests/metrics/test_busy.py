"""Shares of the last minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.metrics import BusyTime
from stream_infer.metrics.busy import WINDOW_S, RecentShare, Sums
from stream_infer.testing.clock import HandClock

STEPS = st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans()), max_size=40)


@given(steps=STEPS)
def test_the_share_of_busy_time_lies_between_none_and_all(steps: list[tuple[float, bool]]) -> None:
    clock = HandClock()
    busy = BusyTime(clock)
    share = RecentShare(busy.sums, clock=clock)
    told_s = 0.0
    was_busy = False
    for seconds, is_busy in steps:
        clock.now_s += seconds
        told_s += seconds if was_busy else 0.0
        busy.note(clock.now_s, is_busy=is_busy)
        was_busy = is_busy
        assert -1e-9 <= share.look() <= 1 + 1e-9
    assert busy.sums() == pytest.approx((told_s, clock.now_s))


def test_a_call_under_way_counts_before_it_ends() -> None:
    clock = HandClock()
    busy = BusyTime(clock)
    share = RecentShare(busy.sums, clock=clock)
    clock.now_s = 10.0
    busy.note(clock.now_s, is_busy=True)
    clock.now_s = 20.0
    assert share.look() == pytest.approx(0.5)


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    clock = HandClock()
    sums = Sums(0, 0)
    share = RecentShare(lambda: sums, clock=clock)
    sums = Sums(80, 100)
    assert share.look() == pytest.approx(0.8)
    for _ in range(int(WINDOW_S) + 1):
        clock.now_s += 1.0
        share.look()
    assert share.look() == 0.0
    sums = Sums(80, 200)
    assert share.look() == 0.0
    sums = Sums(130, 300)
    assert share.look() == pytest.approx(0.25)
