from hypothesis import given
from hypothesis import strategies as st

from benchmarks.feed import CHUNK, missing
from benchmarks.pace import due_by


@given(st.integers(min_value=1, max_value=500_000), st.integers(min_value=1, max_value=300))
def test_after_so_many_seconds_exactly_the_rate_times_as_many_events_were_due(rate: int, seconds: int) -> None:
    assert due_by(seconds * 1000 - 1, rate) == rate * seconds


@given(st.integers(min_value=1, max_value=500_000), st.integers(min_value=0, max_value=100_000))
def test_no_millisecond_owes_more_than_its_share_whatever_was_late_before(rate: int, tick: int) -> None:
    assert 0 <= due_by(tick + 1, rate) - due_by(tick, rate) <= rate // 1000 + 1


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_feeder_never_lets_more_wait_than_it_was_told_and_sends_no_more_than_a_chunk(
    sent: int, answered: int, ahead: int
) -> None:
    more = missing(sent=sent, answered=answered, ahead=ahead)
    assert 0 <= more <= CHUNK
    assert more == 0 or sent + more - answered <= ahead


def test_a_feeder_catches_up_with_a_reader() -> None:
    assert missing(sent=1000, answered=900, ahead=300) == 200
