"""What a prediction takes over of its record's headers, and which records make a span worth keeping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.records import Headers
from stream_infer.tracing import CARRIED, carry, parents
from stream_infer.tracing.context import LONGEST_BYTES

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01".encode()
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00".encode()

names = st.sampled_from([*sorted(CARRIED), "other", "stream_infer.attempt", "Traceparent", ""])
headers = st.none() | st.lists(st.tuples(names, st.none() | st.binary(max_size=70)), max_size=6)


@given(st.lists(headers, max_size=5))
def test_predictions_take_over_trace_headers_and_no_others_as_they_are(given_headers: list[Headers | None]) -> None:
    carried = carry(given_headers, range(len(given_headers)))
    for row, own in enumerate(given_headers):
        wanted = {name: value for name, value in own or () if name in CARRIED}
        assert dict((carried[row] if carried else None) or ()) == wanted


@given(st.lists(headers, max_size=5))
def test_no_header_can_break_the_search_for_contexts(given_headers: list[Headers | None]) -> None:
    for found in parents(given_headers):
        assert set(found) <= {"traceparent", "tracestate"}


def test_rows_are_chosen_in_their_order() -> None:
    given_headers: list[Headers | None] = [[("traceparent", b"a")], None, [("traceparent", b"c")]]
    assert carry(given_headers, [2, 1]) == [[("traceparent", b"c")], None]


def test_batches_without_a_context_have_no_headers_at_all() -> None:
    assert carry([None, [("other", b"x")]], [0, 1]) is None


def test_of_a_header_that_is_there_twice_the_last_counts() -> None:
    assert carry([[("traceparent", b"old"), ("traceparent", b"new")]], [0]) == [[("traceparent", b"new")]]


def test_a_header_that_would_swell_the_prediction_is_left_behind() -> None:
    longest, longer = b"b" * LONGEST_BYTES, b"b" * (LONGEST_BYTES + 1)
    assert carry([[("baggage", longest)]], [0]) == [[("baggage", longest)]]
    assert carry([[("baggage", longer), ("traceparent", SAMPLED)]], [0]) == [[("traceparent", SAMPLED)]]


def test_only_records_whose_sender_records_a_trace_are_linked() -> None:
    state = ("tracestate", b"vendor=1")
    found = parents([[("traceparent", SAMPLED), state], [("traceparent", UNSAMPLED), state], None])
    assert list(found) == [{"traceparent": SAMPLED.decode(), "tracestate": "vendor=1"}]


@pytest.mark.parametrize("broken", [None, b"", b"00", SAMPLED[:54], SAMPLED[:53] + b"zz", b"\xff" * 55])
def test_a_context_that_is_none_is_not_linked(broken: bytes | None) -> None:
    assert list(parents([[("traceparent", broken)]])) == []
