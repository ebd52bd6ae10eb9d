"""A consumer that knows of no broker any more and the one that takes its place, on librdkafka's mock cluster."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from stream_infer.clock import SystemClock
from stream_infer.pipeline import inbox as told
from stream_infer.records import Partition
from stream_infer.testing.kafka.properties import free_port
from stream_infer.testing.mock_cluster import PARTITIONS, MockCluster
from stream_infer.transport.columns import Polled
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import Feed
from stream_infer.transport.pump import Pump
from tests.faults.network import Network

TOPIC, WORKER = "in", "behind-the-network"
SOURCES = [Partition(TOPIC, number) for number in range(PARTITIONS)]
WITHIN_S = 180.0
MANY = 1_000_000
RECORDS = 40
OFTEN = {
    "statistics.interval.ms": 200,
    "topic.metadata.refresh.interval.ms": 500,
    "session.timeout.ms": 3000,
    "heartbeat.interval.ms": 500,
}


class TurnedPump(Pump):
    """A pump whose consumer the test may give partitions to, as a rebalance does."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._session.rebalancer.on_assign(self._session.consumer, partitions)


@dataclass
class Ground:
    """A pump turned by hand, what it told, and what it delivered."""

    properties: dict[str, Any]
    inbox: told.Inbox = field(default_factory=told.Inbox)
    values: list[bytes | None] = field(default_factory=list)
    heard: list[told.Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        of_tests: dict[str, Any] = {"group.id": "g", "client.id": WORKER, "auto.offset.reset": "error", "log_level": 0}
        of_tests |= {"enable.auto.commit": False, "partition.assignment.strategy": "cooperative-sticky"}
        # In place: what the test changes later is for the next consumer.
        self.properties |= {**OFTEN, **of_tests, **self.properties}
        self.feed = Feed(
            properties=self.properties,
            reset="earliest",
            read_whole=frozenset(),
            credit=Credit(records=MANY, size_bytes=MANY),
            inbox=self.inbox,
            clock=SystemClock(),
        )
        self.pump = TurnedPump(self.feed, deliver=self.deliver, stopping=lambda: False)

    def deliver(self, polled: Polled) -> None:
        self.values += polled.records.values

    def turn_until(self, condition: Callable[[], bool]) -> None:
        until_s = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < until_s, "the turns were not enough"
            self.pump.turn()
            while (message := self.inbox.get(0)) is not None:
                self.heard.append(message)

    def begun(self) -> list[int]:
        """Return the epochs that were begun."""
        found = [message for message in self.heard if isinstance(message, told.Begin)]
        return [one.epoch for message in found for one in message.assigned]


@contextmanager
def ground(properties: dict[str, Any]) -> Iterator[Ground]:
    made = Ground(properties)
    yield made
    made.pump.close()


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        cluster.create_topics([TOPIC])
        yield cluster


def send(cluster: MockCluster, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    for number, value in enumerate(values):
        producer.produce(TOPIC, value, partition=number % PARTITIONS)
    assert producer.flush(WITHIN_S) == 0


def numbers(first: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + RECORDS)]


def test_what_a_forgetful_consumer_owned_is_lost_and_read_on_by_another_member(cluster: MockCluster) -> None:
    port = int(cluster.bootstrap_servers.rpartition(":")[2])
    send(cluster, *numbers(0))
    with Network({free_port(): port}) as network, ground({"bootstrap.servers": network.bootstrap_servers}) as made:
        made.pump.subscribe([TOPIC])
        made.turn_until(lambda: len(made.values) == RECORDS)
        assert made.begun() == [1, 2, 3, 4]
        network.hide_brokers(WORKER)
        made.turn_until(lambda: any(isinstance(message, told.Forget) for message in made.heard))
        network.hide_brokers(WORKER, hide=False)
        send(cluster, *numbers(RECORDS))
        made.turn_until(lambda: set(numbers(RECORDS)) <= set(made.values))
        (forgotten,) = [message for message in made.heard if isinstance(message, told.Forget)]
        assert sorted(forgotten.sources) == SOURCES
        assert made.begun()[PARTITIONS:] == [5, 6, 7, 8]
        assert Counter(made.values) == Counter(2 * numbers(0) + numbers(RECORDS))  # nothing was committed
        assert made.feed.state.rebalances == {"assigned": 2, "revoked": 0, "lost": 1}


def test_a_consumer_that_never_knew_of_a_broker_is_replaced_too(cluster: MockCluster) -> None:
    send(cluster, *numbers(0))
    with ground({}) as made:
        made.pump.subscribe([TOPIC])
        made.properties["bootstrap.servers"] = cluster.bootstrap_servers
        made.turn_until(lambda: len(made.values) == RECORDS)
        assert made.begun() == [1, 2, 3, 4]


def test_a_consumer_that_finds_no_broker_to_ask_where_partitions_start_is_replaced(cluster: MockCluster) -> None:
    send(cluster, *numbers(0))
    with ground({"statistics.interval.ms": 0}) as made:
        made.pump.subscribe([TOPIC])
        made.pump.assign([TopicPartition(*source) for source in SOURCES])
        assert made.begun() == []
        made.properties["bootstrap.servers"] = cluster.bootstrap_servers
        made.turn_until(lambda: len(made.values) == RECORDS)
        assert made.begun() == [1, 2, 3, 4]
