import numpy as np

from benchmarks.answers import by_offset, joined, note_first
from benchmarks.windows import Span, latencies


def times(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_an_event_has_its_place_by_offset_and_a_gap_is_none() -> None:
    found = by_offset(np.array([3, 0]), times(8.0, 5.0))
    assert np.array_equal(found, times(5.0, np.nan, np.nan, 8.0), equal_nan=True)


def test_of_several_answers_the_first_counts_in_whatever_order_they_are_read() -> None:
    first = {0: times(np.nan, np.nan), 1: times(np.nan)}
    partitions = np.array([0, 1, 0], dtype=np.int32)
    offsets = np.array([1, 0, 1], dtype=np.int64)
    note_first(first, partitions, offsets, appended=times(30.0, 20.0, 10.0))
    assert np.array_equal(first[0], times(np.nan, 10.0), equal_nan=True)
    assert np.array_equal(first[1], times(20.0))


def test_an_event_without_an_answer_counts_until_the_wait_for_it_ended() -> None:
    due = {0: times(100.0, 101.0), 1: times(102.0, np.nan)}
    appended = {0: times(103.0, np.nan), 1: times(106.0, np.nan)}
    arrivals, missing = joined(due, appended, given_up_ms=1101.0)
    assert missing == 1
    assert arrivals.latency_ms.tolist() == [3.0, 1000.0, 4.0]


def test_a_stall_of_a_second_is_in_the_latency_of_every_event_that_was_due_in_it() -> None:
    due_ms = np.arange(0.0, 2000.0)
    appended = np.maximum(due_ms + 2.0, np.where(due_ms >= 1000.0, 2000.0, 0.0))
    arrivals, _ = joined({0: due_ms}, {0: appended}, given_up_ms=0.0)
    found = latencies(arrivals, [Span(0.0, 2000.0)])
    assert found.p50_ms < found.p99_ms
    assert found.max_ms == 1000.0
    assert found.p99_ms > 950.0
