from hypothesis import given
from hypothesis import strategies as st

from stream_infer.demo.stream import MAX_UNANSWERED, Pace

RATES = st.floats(1.0, 1e5)
SECONDS = st.floats(0.0, 1e4)


@given(RATES, SECONDS, SECONDS, st.integers(0, 10**9), st.integers(0, 10**5))
def test_neither_the_rate_nor_the_number_in_flight_is_passed(
    rate: float, lasts_s: float, now_s: float, sent: int, in_flight: int
) -> None:
    due = Pace(rate, started_s=0.0, seconds=lasts_s).due(now_s, sent=sent, in_flight=in_flight)
    assert due >= 0
    assert due == 0 or sent + due <= rate * min(now_s, lasts_s)
    assert due == 0 or in_flight + due <= MAX_UNANSWERED


@given(RATES, SECONDS, SECONDS)
def test_what_is_due_makes_up_for_what_was_late(rate: float, lasts_s: float, now_s: float) -> None:
    pace = Pace(rate, started_s=0.0, seconds=lasts_s)
    sent = 0
    while due := pace.due(now_s, sent=sent, in_flight=0):
        sent += due
    assert sent == int(rate * min(now_s, lasts_s))


def test_sending_is_over_when_its_time_has_passed() -> None:
    pace = Pace(1.0, started_s=10.0, seconds=5.0, extra_s=2.0)
    assert not pace.is_over(14.9)
    assert pace.is_over(15.0)


def test_who_wants_more_gets_the_extra_time_at_the_same_rate() -> None:
    pace = Pace(100.0, started_s=10.0, seconds=5.0, extra_s=2.0)
    assert not pace.is_over(16.9, wants_more=True)
    assert pace.is_over(17.0, wants_more=True)
    assert pace.due(16.0, sent=500, in_flight=0) == 100
