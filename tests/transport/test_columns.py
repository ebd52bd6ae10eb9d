"""Laws of the step from messages to columns."""

from itertools import pairwise
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_infer.records import Partition
from stream_infer.transport.columns import LONG_SPAN, read_columns, select_runs, split_errors
from stream_infer.transport.reads import READ

ROWS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3)), min_size=1, max_size=60)


def messages_for(rows: list[tuple[str, int]]) -> list[Message]:
    return [
        Message(
            topic=topic,
            partition=partition,
            offset=number * 3,
            key=b"k%d" % number,
            value=b"v%d" % number,
            headers=[("n", b"%d" % number)] if number % 5 == 0 else None,
            timestamp=(1, 1000 + number),
        )
        for number, (topic, partition) in enumerate(rows)
    ]


def reads_of(messages: list[Message]) -> NDArray[Any]:
    """Return what the extension notes of these messages."""
    topics = sorted({str(one.topic()) for one in messages})
    noted = np.zeros(len(messages), READ)
    for row, one in enumerate(messages):
        size = len(one.key() or b"") + len(one.value() or b"")
        topic = 1000 + topics.index(str(one.topic()))
        noted[row] = (topic, one.offset(), one.timestamp()[1], size, one.partition(), bool(one.headers()))
    return noted


@given(rows=ROWS, without=st.sets(st.integers(0, 59)))
def test_what_was_noted_and_what_the_messages_say_make_the_same_columns(
    rows: list[tuple[str, int]], without: set[int]
) -> None:
    messages = [one for number, one in enumerate(messages_for(rows)) if number not in without]
    if not messages:
        return
    epochs = {Partition(*row): 7 for row in rows}
    asked = read_columns(messages, epochs=epochs, arrived_s=5.0).records
    noted = read_columns(messages, epochs=epochs, arrived_s=5.0, reads=reads_of(messages)).records
    assert noted.runs == asked.runs
    assert (noted.keys, noted.values, noted.headers) == (asked.keys, asked.values, asked.headers)
    for column in ("offsets", "timestamps_ms", "sizes"):
        found, expected = getattr(noted, column), getattr(asked, column)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()


@given(rows=ROWS)
def test_every_row_keeps_its_fields_and_its_place(rows: list[tuple[str, int]]) -> None:
    messages = messages_for(rows)
    epochs = {Partition(*row): 7 for row in rows}
    same_topic = len({topic for topic, _ in rows}) == 1
    records = read_columns(messages, epochs=epochs, arrived_s=5.0, same_topic=same_topic).records
    assert len(records) == len(rows)
    for number, row in enumerate(rows):
        assert records.position(number) == (Partition(*row), number * 3)
        assert records.keys[number] == b"k%d" % number
        assert records.values[number] == b"v%d" % number
        assert records.timestamps_ms[number] == 1000 + number
    assert {run.epoch for run in records.runs} == {7}


@given(rows=ROWS, owned=st.sets(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))))
def test_rows_of_partitions_without_an_epoch_are_left_out_and_the_others_keep_their_order(
    rows: list[tuple[str, int]], owned: set[tuple[str, int]]
) -> None:
    polled = read_columns(messages_for(rows), epochs={Partition(*row): 1 for row in owned}, arrived_s=0.0)
    expected = [b"v%d" % number for number, row in enumerate(rows) if row in owned]
    assert polled.records.values == expected
    assert [message.value() for message in polled.messages] == expected
    for number in range(len(expected)):
        source, offset = polled.records.position(number)
        assert polled.records.values[number] == b"v%d" % (offset // 3)
        assert (source.topic, source.partition) in owned


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 3 * LONG_SPAN), st.sets(st.integers(1, 3 * LONG_SPAN), max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_offsets_are_those_of_the_messages_whether_or_not_some_are_missing(
    spans: list[tuple[int, int, set[int]]],
) -> None:
    offsets = [
        (partition, first * 1000 + row + sum(gap <= row for gap in gaps))
        for first, (partition, count, gaps) in enumerate(spans)
        for row in range(count)
    ]
    messages = [Message(topic="a", partition=number, offset=offset, value=b"") for number, offset in offsets]
    epochs = {Partition("a", number): 1 for number, _ in offsets}
    found = read_columns(messages, epochs=epochs, arrived_s=0.0, same_topic=True).records.offsets
    assert found.tolist() == [offset for _, offset in offsets]


@given(rows=ROWS)
def test_neighbouring_runs_are_never_of_one_partition(rows: list[tuple[str, int]]) -> None:
    epochs = {Partition(*row): 1 for row in rows}
    runs = read_columns(messages_for(rows), epochs=epochs, arrived_s=0.0).records.runs
    assert all(left.source != right.source for left, right in pairwise(runs))
    assert sum(map(len, runs)) == len(rows)


def test_headers_are_none_when_no_row_has_any() -> None:
    messages = messages_for([("a", 0), ("a", 0)])[1:]
    assert read_columns(messages, epochs={Partition("a", 0): 1}, arrived_s=0.0).records.headers is None


@given(rows=ROWS)
def test_choosing_runs_renumbers_their_rows(rows: list[tuple[str, int]]) -> None:
    polled = read_columns(messages_for(rows), epochs={Partition(*row): 1 for row in rows}, arrived_s=0.0)
    chosen = [run for run in polled.records.runs if run.source.topic == "a"]
    picked = select_runs(polled, chosen)
    assert picked.records.values == [b"v%d" % number for number, row in enumerate(rows) if row[0] == "a"]


@given(rows=ROWS, wrong=st.sets(st.integers(0, 59)))
def test_errors_among_the_messages_are_told_apart_and_the_records_keep_their_order(
    rows: list[tuple[str, int]], wrong: set[int]
) -> None:
    messages: list[Message] = list(messages_for(rows))
    for index in wrong & set(range(len(messages))):
        messages[index] = Message(topic="a", partition=0, error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    records, faulty = split_errors(messages)
    expected = [message for index, message in enumerate(messages) if index not in wrong]
    assert list(records) == expected
    assert [one.error.code() for one in faulty] == [KafkaError.UNKNOWN_TOPIC_OR_PART] * (len(messages) - len(expected))
