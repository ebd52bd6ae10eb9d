"""What is sent and what is held back, and that a broken model never refuses more than the limit allows."""

from hypothesis import given
from hypothesis import strategies as st

from stream_infer.pipeline.limit import Allowed, Fate, RefusalLimit, Tally

ALLOWED = Allowed(max_ratio=0.5, min_records=100, window_s=60.0)


def judge(limit: RefusalLimit, held: Tally, *, now_s: float = 0.0, since_s: float = 0.0, is_full: bool = False) -> Fate:
    return limit.judge(now_s, held, since_s=since_s, is_full=is_full)


def test_few_refusals_among_many_are_sent_at_once() -> None:
    assert judge(RefusalLimit(ALLOWED), Tally(8, 1)) is Fate.SEND


def test_refusals_above_the_ratio_are_held_and_from_min_records_on_nothing_more_is_asked_for() -> None:
    limit = RefusalLimit(ALLOWED)
    assert judge(limit, Tally(99, 50)) is Fate.HOLD
    assert judge(limit, Tally(100, 50)) is Fate.SEND
    assert judge(limit, Tally(100, 51)) is Fate.STOP


def test_what_was_sent_counts_for_a_window_and_no_longer() -> None:
    limit = RefusalLimit(ALLOWED)
    limit.note_sent(0.0, Tally(90, 0))
    assert judge(limit, Tally(9, 9), now_s=58.0, since_s=58.0) is Fate.SEND
    assert judge(limit, Tally(9, 9), now_s=61.0, since_s=61.0) is Fate.HOLD


def test_a_few_bad_records_on_a_quiet_topic_are_let_go_after_the_window() -> None:
    limit = RefusalLimit(ALLOWED)
    assert judge(limit, Tally(1, 1), now_s=59.0) is Fate.HOLD
    assert judge(limit, Tally(1, 1), now_s=60.0) is Fate.SEND


def test_a_model_that_scored_nothing_since_it_failed_lets_nothing_go_however_long_it_takes() -> None:
    limit = RefusalLimit(ALLOWED)
    limit.note_sent(0.0, Tally(1_000, 0))
    limit.note_model(scored=0, failed=99)
    assert judge(limit, Tally(99, 99)) is Fate.HOLD
    assert judge(limit, Tally(99, 99), now_s=600.0) is Fate.HOLD
    limit.note_model(scored=1, failed=0)
    assert judge(limit, Tally(100, 50), now_s=0.0) is Fate.SEND


def test_a_model_that_refuses_most_records_of_a_slow_topic_eats_none_of_them_however_long_it_takes() -> None:
    limit = RefusalLimit(ALLOWED)
    limit.note_model(scored=4, failed=6)
    assert judge(limit, Tally(10, 6, by_model=6), now_s=600.0) is Fate.HOLD
    assert judge(limit, Tally(10, 6, by_model=5), now_s=600.0) is Fate.SEND
    assert judge(limit, Tally(12, 6, by_model=6), now_s=600.0) is Fate.SEND
    assert judge(limit, Tally(100, 60, by_model=60), now_s=600.0) is Fate.STOP


def test_a_model_that_breaks_after_a_good_minute_stops_the_worker_at_min_records() -> None:
    limit = RefusalLimit(ALLOWED)
    limit.note_sent(0.0, Tally(1_000_000, 0))
    limit.note_model(scored=0, failed=100)
    assert judge(limit, Tally(100, 100)) is Fate.STOP


def test_when_no_more_can_be_held_that_is_enough_to_stop() -> None:
    assert judge(RefusalLimit(ALLOWED), Tally(20, 20), is_full=True) is Fate.STOP
    failing = RefusalLimit(ALLOWED)
    failing.note_model(scored=0, failed=2)
    assert judge(failing, Tally(20, 2), is_full=True) is Fate.STOP


def test_a_ratio_of_one_allows_everything() -> None:
    limit = RefusalLimit(Allowed(max_ratio=1.0, min_records=1, window_s=60.0))
    limit.note_model(scored=0, failed=500)
    assert judge(limit, Tally(500, 500), is_full=True) is Fate.SEND


def test_what_serves_next_starts_with_a_clean_slate() -> None:
    limit = RefusalLimit(ALLOWED)
    limit.note_sent(0.0, Tally(90, 45))
    limit.note_model(scored=0, failed=3)
    limit.clear()
    assert not limit.is_failing
    assert judge(limit, Tally(2, 1)) is Fate.SEND


@given(
    batches=st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1), st.floats(0, 30)), max_size=60),
    max_ratio=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_within_a_window_no_more_is_refused_than_the_ratio_or_what_min_records_allows(
    batches: list[tuple[int, float, float]], max_ratio: float
) -> None:
    """Any sequence of (records, share refused, seconds until the next batch)."""
    limit = RefusalLimit(Allowed(max_ratio=max_ratio, min_records=100, window_s=60.0))
    held, since_s, now_s = Tally(), 0.0, 0.0
    sent: list[tuple[float, Tally]] = []
    for records, share, pause_s in batches:
        since_s = since_s if held.records else now_s
        held += Tally(records, int(records * share))
        fate = judge(limit, held, now_s=now_s, since_s=since_s)
        if fate is Fate.STOP:
            break
        if fate is Fate.SEND:
            limit.note_sent(now_s, held)
            sent.append((now_s, held))
            held = Tally()
            window = sum((tally for at_s, tally in sent if at_s > now_s - 59.0), Tally())
            assert window.ratio <= max_ratio or window.records < 100 + 40
        now_s += pause_s
