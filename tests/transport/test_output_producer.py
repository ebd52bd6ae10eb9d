"""One contract for every output producer: the fake, and librdkafka on a real broker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from stream_infer.errors import Stop, Undone
from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing, OutputProducer
from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.testing.producer import Delivered, FakeProducer
from stream_infer.transport.extension import WHY_NOT
from stream_infer.transport.rows import AtOnce, RowByRow, RowProducer
from stream_infer.transport.sink import Sink

STAMP_MS = 1_700_000_000_123


@dataclass(frozen=True, slots=True)
class Subject:
    """A producer, a topic of three partitions for it, and how to read that topic."""

    producer: OutputProducer
    topic: str
    read: Callable[[int], list[Delivered]]


def fake_subject() -> Subject:
    producer = FakeProducer({"out": 3}, max_message_bytes=1_000_000)
    return Subject(producer, "out", lambda count: producer.delivered[:count])


def real_subject(
    kafka: Any, topics: Any, *, make: Callable[[Mapping[str, object]], RowProducer], **properties: Any
) -> Subject:
    topic = topics.create("out", partitions=3)
    servers = {"bootstrap.servers": kafka.bootstrap_servers}
    producer = Sink(
        {
            **servers,
            "enable.idempotence": True,
            "message.timeout.ms": 5000,
            "delivery.report.only.error": True,
            "topic.metadata.propagation.max.ms": 1000,
            "log_level": 0,
            **properties,
        },
        make=make,
    )
    return Subject(producer, topic, lambda count: read_all(servers, topic, count=count))


def pack(values: list[bytes]) -> Packed:
    return Packed(pa.array(values, pa.binary()))


def read_all(servers: dict[str, str], topic: str, *, count: int) -> list[Delivered]:
    reader = Consumer({**servers, "group.id": "reader"})
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(3)])
    try:
        messages = reader.consume(count, 20)
        return [
            Delivered(
                topic=str(one.topic()),
                partition=int(one.partition() or 0),
                key=one.key(),
                value=one.value(),
                timestamp_ms=one.timestamp()[1],
                headers=tuple(one.headers() or ()),  # type: ignore[arg-type] # librdkafka gives pairs
            )
            for one in messages
        ]
    finally:
        reader.close()


BUILT = pytest.mark.skipif(WHY_NOT is not None, reason="the extension is not built")
REAL = [
    pytest.param(RowByRow, marks=pytest.mark.broker, id="row by row"),
    pytest.param(AtOnce, marks=[pytest.mark.broker, BUILT], id="at once"),
]


@pytest.fixture(params=[pytest.param(None, id="fake"), *REAL])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param is None:
        yield fake_subject()
    else:
        make = request.param
        yield real_subject(request.getfixturevalue("kafka"), request.getfixturevalue("topics"), make=make)


@pytest.fixture(params=[list, pack], ids=["list", "packed"])
def values_of(request: pytest.FixtureRequest) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Give both forms in which values come."""
    made: Callable[[list[bytes]], Sequence[bytes]] = request.param
    return made


def test_after_a_flush_everything_sent_can_be_read_with_key_stamp_partition_and_headers(subject: Subject) -> None:
    headers = [("a", b"1"), ("a", b"2"), ("none", None)]
    subject.producer.send(Outgoing(subject.topic, [b"k"], [b"v"], np.array([STAMP_MS]), [2], [headers]))
    subject.producer.flush()
    assert subject.read(1) == [Delivered(subject.topic, 2, b"k", b"v", STAMP_MS, tuple(headers))]


def test_rows_for_one_partition_arrive_in_the_order_in_which_they_were_sent(
    subject: Subject, values_of: Callable[[list[bytes]], Sequence[bytes]]
) -> None:
    values = [b"%d" % number for number in range(1000)]
    stamps = np.full(1000, STAMP_MS)
    subject.producer.send(Outgoing(subject.topic, [None] * 1000, values_of(values), stamps, [1] * 1000))
    subject.producer.flush()
    assert [one.value for one in subject.read(1000)] == values


@pytest.mark.parametrize("make", REAL)
def test_rows_that_find_the_buffer_full_wait_and_none_is_lost_repeated_or_overtaken(
    kafka: Any, topics: Any, make: Any, values_of: Callable[[list[bytes]], Sequence[bytes]]
) -> None:
    subject = real_subject(kafka, topics, make=make, **{"queue.buffering.max.messages": 50})
    values = [b"%d" % number for number in range(500)]
    subject.producer.send(Outgoing(subject.topic, [b"k"] * 500, values_of(values), np.full(500, STAMP_MS), [1] * 500))
    subject.producer.flush()
    assert [one.value for one in subject.read(500)] == values


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"columns of \[1, 2\] rows"):
        Outgoing("out", [b"k"], [b"a", b"b"], np.full(2, STAMP_MS))


def test_a_record_that_is_too_large_is_named_and_its_neighbours_are_sent(
    subject: Subject, values_of: Callable[[list[bytes]], Sequence[bytes]]
) -> None:
    values = values_of([b"a", b"x" * 2_000_000, b"c"])
    outgoing = Outgoing(subject.topic, [b"k"] * 3, values, np.full(3, STAMP_MS), [0, 0, 0])
    unsent = subject.producer.send(outgoing)
    subject.producer.flush()
    assert [one.row for one in unsent] == [1]
    assert [one.value for one in subject.read(2)] == [b"a", b"c"]


def test_a_topic_that_does_not_exist_stops_the_worker_with_its_name(
    subject: Subject, values_of: Callable[[list[bytes]], Sequence[bytes]]
) -> None:
    subject.producer.send(Outgoing("nowhere-to-be-found", [b"k"], values_of([b"v"]), np.array([STAMP_MS])))
    with pytest.raises(Stop, match="nowhere-to-be-found"):
        subject.producer.flush()


def test_a_producer_that_knows_of_no_broker_is_replaced_and_what_was_sent_is_to_be_sent_again() -> None:
    with MockCluster() as cluster:
        cluster.create_topics(["out"])
        properties: dict[str, Any] = {
            "delivery.report.only.error": True,
            "statistics.interval.ms": 50,
            "log_level": 0,
        }
        sink = Sink(properties)
        sink.send(Outgoing("out", [b"k"], [b"lost"], np.array([STAMP_MS])))
        properties["bootstrap.servers"] = cluster.bootstrap_servers
        with pytest.raises(Undone, match="knows of no broker any more"):
            sink.flush()
        sink.send(Outgoing("out", [b"k"], [b"again"], np.array([STAMP_MS])))
        sink.flush()
        sink.look()
        found = read_all({"bootstrap.servers": cluster.bootstrap_servers}, "out", count=1)
        assert [one.value for one in found] == [b"again"]
