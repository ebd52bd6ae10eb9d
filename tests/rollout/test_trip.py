"""When a canary stops by itself."""

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stream_infer.rollout.record import TripLimits
from stream_infer.rollout.trip import BUCKETS, TripGuard

LIMITS = TripLimits(max_error_ratio=0.01, max_nonfinite_ratio=0.001, window_s=60, min_records=500)


@dataclass(frozen=True, slots=True)
class Batch:
    now_s: float
    records: int
    errors: int
    non_finite: int


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    now_s = draw(st.floats(0, 1e6))
    made = []
    for _ in range(draw(st.integers(0, 40))):
        now_s += draw(st.sampled_from([0.0, 0.01, 0.5, 3.0, 70.0]))
        records = draw(st.integers(1, 256))
        made.append(Batch(now_s, records, draw(st.integers(0, records)), draw(st.integers(0, records))))
    return made


def note(guard: TripGuard, batch: Batch) -> str | None:
    return guard.note(batch.now_s, records=batch.records, errors=batch.errors, non_finite=batch.non_finite)


def feed(guard: TripGuard, *, now_s: float, records: int, errors: int = 0, non_finite: int = 0) -> str | None:
    return note(guard, Batch(now_s, records, errors, non_finite))


def test_a_ratio_above_its_limit_trips() -> None:
    assert feed(TripGuard(LIMITS), now_s=0, records=1_000, errors=11) == (
        "the canary's error ratio is 0.011 (11 of 1000 records in 60 s), expected at most 0.01"
    )
    assert feed(TripGuard(LIMITS), now_s=0, records=1_000, non_finite=2) == (
        "the canary's non-finite ratio is 0.002 (2 of 1000 records in 60 s), expected at most 0.001"
    )


def test_a_ratio_at_its_limit_does_not() -> None:
    assert feed(TripGuard(LIMITS), now_s=0, records=1_000, errors=10, non_finite=1) is None


def test_a_limit_of_zero_allows_nothing() -> None:
    guard = TripGuard(TripLimits(max_error_ratio=0.0, min_records=1))
    assert feed(guard, now_s=0, records=10_000) is None
    assert feed(guard, now_s=0, records=1, errors=1) is not None


def test_nothing_trips_below_the_least_number_of_records() -> None:
    guard = TripGuard(LIMITS)
    assert feed(guard, now_s=0, records=499, errors=499) is None
    assert feed(guard, now_s=1, records=1) is not None


def test_what_lies_before_the_window_is_forgotten() -> None:
    guard = TripGuard(LIMITS)
    assert feed(guard, now_s=0, records=499, errors=499) is None
    assert feed(guard, now_s=60, records=1_000) is None


def test_without_limits_nothing_trips() -> None:
    assert feed(TripGuard(TripLimits()), now_s=0, records=1_000, errors=1_000, non_finite=1_000) is None


def test_a_canary_that_failed_otherwise_has_tripped() -> None:
    guard = TripGuard(LIMITS)
    guard.fail("no batch came through")
    guard.fail("another")
    assert feed(guard, now_s=0, records=1) == guard.reason == "no batch came through"


@given(made=batches())
def test_once_tripped_it_stays_so_for_the_same_reason(made: list[Batch]) -> None:
    guard = TripGuard(TripLimits(max_error_ratio=0.5, min_records=50))
    reasons = [note(guard, batch) for batch in made]
    tripped = [reason for reason in reasons if reason is not None]
    assert reasons == [None] * (len(reasons) - len(tripped)) + tripped
    assert len(set(tripped)) <= 1


@given(start_s=st.floats(0, 1e6), window_s=st.floats(1, 1e4), age=st.floats(0, 3))
def test_a_window_forgets_within_its_last_sixtieth(start_s: float, window_s: float, age: float) -> None:
    assume(not 0.98 < age < 1.001)
    guard = TripGuard(TripLimits(max_error_ratio=0.5, window_s=window_s, min_records=100))
    assert feed(guard, now_s=start_s, records=99, errors=99) is None
    tripped = feed(guard, now_s=start_s + age * window_s, records=1) is not None
    assert tripped == (age < 1)


@pytest.mark.parametrize("window_s", [1.0, 60.0, 86_400.0])
def test_memory_is_bounded_whatever_the_window(window_s: float) -> None:
    guard = TripGuard(TripLimits(max_error_ratio=0.5, window_s=window_s))
    for step in range(5_000):
        feed(guard, now_s=step * window_s / 500, records=1)
    assert len(guard._buckets) <= BUCKETS
