"""Laws of back-pressure."""

from hypothesis import given
from hypothesis import strategies as st

from stream_infer.transport.credit import POLLS_IN_FLIGHT, Credit


@given(amounts=st.lists(st.integers(1, 500), max_size=50))
def test_a_consumer_that_takes_only_what_there_is_room_for_never_passes_the_record_limit(amounts: list[int]) -> None:
    credit = Credit(records=1000, size_bytes=1 << 40)
    for wanted in amounts:
        credit.take(min(wanted, credit.room_records()), size_bytes=0)
        assert credit.used_records <= 1000


@given(amounts=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 99)), max_size=30))
def test_credit_given_back_is_credit_again(amounts: list[tuple[int, int]]) -> None:
    credit = Credit(records=1000, size_bytes=10_000)
    for records, size in amounts:
        credit.take(records, size_bytes=size)
    for records, size in amounts:
        credit.give(records, size_bytes=size)
    assert (credit.used_records, credit.used_bytes, credit.room_records()) == (0, 0, 1000)


def test_bytes_alone_close_the_room() -> None:
    credit = Credit(records=1000, size_bytes=100)
    credit.take(1, size_bytes=100)
    assert credit.room_records() == 0
    assert not credit.wait_for_room(0.0)


def test_polls_that_the_event_loop_has_not_passed_on_close_the_room() -> None:
    credit = Credit(records=1000, size_bytes=100)
    for _ in range(POLLS_IN_FLIGHT):
        credit.take_poll(scored=True)
    assert credit.room_records() == 0
    credit.give_poll()
    assert credit.room_records() == 1000


def test_a_poll_waits_for_the_one_before_unless_enough_is_in_work() -> None:
    credit = Credit(records=1000, size_bytes=1000, enough=64)
    assert credit.wait_for_turn(0.0)
    credit.take_poll(scored=False)
    assert credit.wait_for_turn(0.0)
    credit.take_poll(scored=True)
    credit.give_poll()
    credit.take(63, size_bytes=0)
    assert not credit.wait_for_turn(0.0)
    credit.take(1, size_bytes=0)
    assert credit.wait_for_turn(0.0)
    credit.give(64, size_bytes=0)
    assert not credit.wait_for_turn(0.0)
    credit.give_turn(1)
    assert credit.wait_for_turn(0.0)


def test_polls_that_the_compute_thread_is_not_through_with_leave_the_room_open() -> None:
    credit = Credit(records=1000, size_bytes=100)
    for _ in range(2 * POLLS_IN_FLIGHT):
        credit.take_poll(scored=True)
        credit.give_poll()
    assert credit.room_records() == 1000


def test_polling_goes_on_after_a_long_stop_only_below_half_of_the_limit() -> None:
    credit = Credit(records=100, size_bytes=100)
    credit.take(60, size_bytes=0)
    assert not credit.is_low()
    credit.give(10, size_bytes=0)
    assert credit.is_low()


def test_while_it_is_closed_nothing_may_be_taken_whatever_room_there_is() -> None:
    credit = Credit(records=100, size_bytes=1000)
    credit.close()
    assert credit.room_records() == 0
    assert not credit.is_low()
    assert not credit.wait_for_room(0.0)
    credit.open()
    assert credit.room_records() == 100
    assert credit.is_low()
