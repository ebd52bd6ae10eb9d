from hypothesis import given
from hypothesis import strategies as st

from stream_infer.records import End, Mark

OFFSETS = st.integers(0, 100)


@given(done=OFFSETS, in_hand=st.integers(0, 50), unread=st.integers(0, 50), markers=st.integers(0, 5))
def test_the_lag_is_what_is_in_hand_once_all_was_handed_over_and_reaches_the_watermark_before(
    done: int, in_hand: int, unread: int, markers: int
) -> None:
    mark = Mark(done, done + in_hand, bool(in_hand), None)
    high = done + in_hand + unread + markers
    assert End(high, is_drained=False).lag(mark) == in_hand + unread + markers
    assert End(done + in_hand + markers, is_drained=True).lag(mark) == in_hand


@given(done=OFFSETS, read=st.none() | OFFSETS, high=OFFSETS, is_drained=st.booleans())
def test_a_watermark_that_is_older_than_the_position_is_no_negative_lag(
    *, done: int, read: int | None, high: int, is_drained: bool
) -> None:
    lag = End(high, is_drained).lag(Mark(done, read, in_hand=False, oldest_ms=None))
    assert lag is not None
    assert 0 <= lag <= max(0, high - done)


def test_without_a_position_there_is_no_lag() -> None:
    assert End(10, is_drained=False).lag(Mark(None, None, in_hand=False, oldest_ms=None)) is None
