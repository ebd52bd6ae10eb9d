"""What the extension notes of messages is what these say of themselves, or nothing."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.reads import TakeReads, make_consumer

pytest.importorskip("stream_infer.transport._rows", exc_type=ImportError)

RECORDS = 400
PARTITIONS = 3
TOPICS = ("a", "b")


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with MockCluster() as cluster:
        cluster.create_topics(TOPICS, partitions=PARTITIONS)
        producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
        for number in range(RECORDS):
            producer.produce(
                TOPICS[number % 7 % 2],
                None if number % 11 == 0 else b"v" * (number % 13),
                None if number % 5 == 0 else b"k" * (number % 3),
                number % PARTITIONS,
                timestamp=1_700_000_000_000 + number,
                headers=[("n", b"%d" % number)] if number % 17 == 0 else None,
            )
        assert producer.flush(20) == 0
        yield cluster.bootstrap_servers


class Reading:
    """A consumer of everything, and what is taken back inside a call."""

    def __init__(self, servers: str) -> None:
        properties = {"bootstrap.servers": servers, "group.id": "g", "fetch.wait.max.ms": 10, "log_level": 0}
        self.consumer, self.take = make_consumer({**properties, "auto.offset.reset": "earliest"})
        self.everything = [TopicPartition(topic, number, 0) for topic in TOPICS for number in range(PARTITIONS)]
        self.consumer.assign(self.everything)

    def rewind(self, number: int) -> None:
        """Read a partition again, so that what is fetched of it is void."""
        where = self.everything[number]
        if any((one.topic, one.partition) == (where.topic, where.partition) for one in self.consumer.assignment()):
            self.consumer.seek(where)

    def turn(self, number: int) -> None:
        """Give a partition up, or take it again."""
        where = self.everything[number]
        owned = {(one.topic, one.partition) for one in self.consumer.assignment()}
        if (where.topic, where.partition) in owned:
            self.consumer.incremental_unassign([where])
        else:
            self.consumer.incremental_assign([where])


def said(messages: list[Message]) -> list[tuple[Any, ...]]:
    return [
        (
            one.partition(),
            one.offset(),
            one.timestamp()[1],
            len(one.key() or b"") + len(one.value() or b""),
            bool(one.headers()),
        )
        for one in messages
    ]


def noted(take: TakeReads, count: int) -> tuple[list[tuple[Any, ...]], list[int]] | None:
    reads = take(count)
    if reads is None:
        return None
    fields = ("partition", "offset", "timestamp_ms", "size", "has_headers")
    return [tuple(one[name].item() for name in fields) for one in reads], reads["topic"].tolist()


def read(consumer: Consumer, count: int) -> list[Message]:
    messages = consumer.consume(count, 0.05)
    assert all(one.error() is None for one in messages)
    return messages


def test_every_message_is_noted_with_where_it_lies_its_time_and_its_size(servers: str) -> None:
    reading = Reading(servers)
    messages: list[Message] = []
    while len(messages) < RECORDS:
        messages += read(reading.consumer, 150)
    found = noted(reading.take, RECORDS)
    assert found is not None
    assert found[0] == said(messages)
    names = {(number, str(message.topic())) for number, message in zip(found[1], messages, strict=True)}
    assert len(names) == len(TOPICS)
    reading.consumer.close()


STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "read", "rewind", "turn"]), st.integers(0, 2 * PARTITIONS - 1)), max_size=25
)


@given(steps=STEPS)
@settings(max_examples=15, deadline=None)
def test_whatever_is_taken_back_meanwhile_nothing_is_said_of_another_message(
    servers: str, steps: list[tuple[str, int]]
) -> None:
    reading = Reading(servers)
    for step, number in [*steps, ("read", 5)]:
        if step == "read":
            messages = read(reading.consumer, 1 + 10 * number)
            found = noted(reading.take, len(messages))
            assert found is None or found[0] == said(messages)
        else:
            getattr(reading, step)(number)
    reading.consumer.close()


def test_what_is_taken_back_inside_a_call_leaves_nothing_said(servers: str) -> None:
    everything = [TopicPartition(topic, number, 0) for topic in TOPICS for number in range(PARTITIONS)]
    turns = cycle(everything)
    made: list[Consumer] = []

    def rewind(_statistics: str) -> None:
        if made:
            made[0].seek(next(turns))

    properties = {"bootstrap.servers": servers, "group.id": "g", "fetch.wait.max.ms": 5, "log_level": 0}
    consumer, take = make_consumer({**properties, "statistics.interval.ms": 10, "stats_cb": rewind})
    consumer.assign(everything)
    made.append(consumer)
    seen = set()
    for _ in range(500):
        messages = consumer.consume(100_000, 0.03)
        found = noted(take, len(messages))
        seen.add(found is None)
        assert found is None or found[0] == said(messages)
        if seen == {True, False}:
            break
    assert seen == {True, False}
    made.clear()
    consumer.close()


def test_of_messages_that_were_consumed_apart_nothing_is_said(servers: str) -> None:
    reading = Reading(servers)
    assert reading.consumer.poll(10) is not None
    messages = read(reading.consumer, 10)
    assert noted(reading.take, len(messages)) is None
    messages = read(reading.consumer, 10)
    found = noted(reading.take, len(messages))
    assert found is not None
    assert found[0] == said(messages)
    reading.consumer.close()
