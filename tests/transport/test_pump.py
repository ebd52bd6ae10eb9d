"""The pump on a real broker, turned by hand: what it reads, and what it does when it may not."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_infer.errors import Stop
from stream_infer.pipeline import inbox as told
from stream_infer.records import Partition
from stream_infer.testing.clock import HandClock
from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.transport.columns import Polled
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import Feed
from stream_infer.transport.gate import Gate
from stream_infer.transport.pump import Pump

TURNS = 200
PAUSED_AFTER_TURNS = 13
TICK_S = 0.001
TIMEOUT_S = 30
MANY = 20


class TurnedPump(Pump):
    """A pump whose Consumer the test may give partitions to, as a rebalance does."""

    @property
    def consumer(self) -> Consumer:
        return self._session.consumer

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._session.rebalancer.on_assign(self._session.consumer, partitions)

    def lose(self, partitions: list[TopicPartition]) -> None:
        self._session.rebalancer.on_lost(self._session.consumer, partitions)


class TickingClock(HandClock):
    """A clock that goes on by a millisecond at every look."""

    def monotonic_s(self) -> float:
        self.now_s += TICK_S
        return super().monotonic_s()


@dataclass(slots=True)
class Ground:
    """A topic of one partition, a pump that reads it, and what it delivered."""

    servers: dict[str, str]
    topic: str
    clock: HandClock
    credit: Credit
    inbox: told.Inbox
    pump: TurnedPump
    delivered: list[Polled] = field(default_factory=list)

    @property
    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.topic, 0)]

    def send(self, count: int, *, first: int = 0) -> None:
        producer = Producer({**self.servers, "log_level": 0})
        for number in range(first, first + count):
            producer.produce(self.topic, b"%d" % number)
        assert producer.flush(30) == 0

    def until_fetched(self, end: int) -> None:
        """Wait until librdkafka has everything below offset `end`."""
        consumer = self.pump.consumer
        while consumer.get_watermark_offsets(self.partitions[0], cached=True)[1] < end:
            consumer.list_topics(self.topic, timeout=TIMEOUT_S)
        # What a response says of the end is noted just before its records are.
        consumer.list_topics(self.topic, timeout=TIMEOUT_S)

    def values(self) -> list[bytes | None]:
        return [value for polled in self.delivered for value in polled.records.values]

    def turn(self, times: int) -> None:
        for _ in range(times):
            self.clock.now_s += 0.1
            self.pump.turn()

    def turn_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(TURNS):
            if condition():
                return
            self.clock.now_s += 0.1
            self.pump.turn()
        pytest.fail(f"{TURNS} turns were not enough: {len(self.values())} records were read")


@dataclass(slots=True)
class HandGate:
    """A gate for each assignment, opened by the test."""

    asked: list["Future[None]"] = field(default_factory=list)

    def ask(self) -> "Future[None]":
        self.asked.append(Future())
        return self.asked[-1]


@pytest.fixture
def make(kafka: Cluster, topics: Topics) -> Iterator[Callable[..., Ground]]:
    made: list[Ground] = []

    def build(*, records: int = 10_000, reset: str = "earliest", gate: Gate | None = None) -> Ground:
        servers = {"bootstrap.servers": kafka.bootstrap_servers}
        delivered: list[Polled] = []
        credit = Credit(records=records, size_bytes=1 << 30)

        def deliver(polled: Polled) -> None:
            delivered.append(polled)
            credit.take(len(polled.messages), size_bytes=0)

        properties = {
            **servers,
            "group.id": topics.name("pump"),
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
        clock, inbox = TickingClock(now_s=1_000.0), told.Inbox()
        feed = Feed(
            properties=properties,
            reset=reset,
            read_whole=frozenset(),
            credit=credit,
            inbox=inbox,
            clock=clock,
            gate=gate,
        )
        pump = TurnedPump(feed, deliver=deliver, stopping=lambda: False)
        topic = topics.create("pump", partitions=1)
        made.append(Ground(servers, topic, clock, credit, inbox, pump, delivered))
        return made[-1]

    yield build
    for ground in made:
        ground.pump.close()


def test_records_arrive_in_order_under_the_epoch_of_their_assignment(make: Callable[..., Ground]) -> None:
    ground = make()
    ground.send(500)
    ground.pump.assign(ground.partitions)
    ground.turn_until(lambda: len(ground.values()) == 500)
    assert ground.values() == [b"%d" % number for number in range(500)]
    begun = ground.inbox.get(0)
    assert isinstance(begun, told.Begin)
    (assigned,) = begun.assigned
    assert assigned.source == Partition(ground.topic, 0)
    assert {run.epoch for polled in ground.delivered for run in polled.records.runs} == {assigned.epoch}


def test_what_is_there_at_a_poll_may_have_waited_since_the_turn_began(make: Callable[..., Ground]) -> None:
    ground = make()
    ground.send(1)
    ground.pump.assign(ground.partitions)
    ground.turn_until(lambda: len(ground.values()) == 1)
    ground.send(5, first=1)
    ground.until_fetched(6)
    before_s = ground.clock.now_s
    ground.pump.turn()
    assert [polled.records.arrived_s for polled in ground.delivered[1:]] == [before_s + TICK_S]
    assert len(ground.values()) == 6


def test_what_a_poll_had_to_wait_for_has_not_waited_itself(make: Callable[..., Ground]) -> None:
    ground = make()
    ground.pump.assign(ground.partitions)
    began_s: list[float] = []
    for number in range(MANY):
        ground.send(1, first=number)
        while len(ground.values()) == number:
            began_s[number:] = [ground.clock.now_s]
            ground.pump.turn()
    waits_s = [polled.records.arrived_s - began for polled, began in zip(ground.delivered, began_s, strict=True)]
    # A record may be there at once; not each, because it was sent just before.
    assert max(waits_s) > TICK_S


def test_a_full_queue_stops_polling_and_polling_goes_on_where_it_stopped(make: Callable[..., Ground]) -> None:
    ground = make(records=100)
    ground.send(1_000)
    ground.pump.assign(ground.partitions)
    expected = 0
    while expected < 1_000:
        ground.turn_until(lambda: len(ground.values()) > expected)  # noqa: B023 - asked at once
        ground.turn(PAUSED_AFTER_TURNS)
        assert ground.credit.used_records <= 101  # one may slip through while partitions are paused
        ground.credit.give(ground.credit.used_records, size_bytes=0)
        expected = len(ground.values())
    assert ground.values() == [b"%d" % number for number in range(1_000)]


def test_a_partition_lost_while_polling_was_paused_is_read_again_when_it_comes_back(
    make: Callable[..., Ground],
) -> None:
    ground = make(records=100)
    ground.send(300)
    ground.pump.assign(ground.partitions)
    ground.turn_until(lambda: ground.credit.room_records() == 0)
    ground.turn(PAUSED_AFTER_TURNS)
    ground.pump.lose(ground.partitions)
    ground.credit.give(ground.credit.used_records, size_bytes=0)
    ground.turn_until(ground.credit.is_low)
    read = len(ground.values())
    ground.pump.turn()
    ground.pump.assign(ground.partitions)
    ground.turn_until(lambda: len(ground.values()) > read)
    assert ground.values()[read] == b"0"


def test_a_position_lost_to_retention_is_read_again_from_where_the_setting_says(make: Callable[..., Ground]) -> None:
    ground = make()
    ground.send(10)
    ground.pump.assign([])
    beyond = TopicPartition(ground.topic, 0, 5_000)
    ground.pump.consumer.commit(offsets=[beyond], asynchronous=False)
    ground.pump.assign(ground.partitions)
    ground.turn_until(lambda: len(ground.values()) == 10)
    begun = [message for message in iter(lambda: ground.inbox.get(0), None) if isinstance(message, told.Begin)]
    assert len([one for message in begun for one in message.assigned]) == 2


def test_without_a_position_and_with_reset_error_the_worker_stops_with_a_sentence(make: Callable[..., Ground]) -> None:
    ground = make(reset="error")
    ground.pump.assign(ground.partitions)
    with pytest.raises(Stop, match=r"has no usable committed offset and kafka\.auto_offset_reset is error"):
        ground.pump.turn()


def test_with_reset_latest_only_what_comes_later_is_read(make: Callable[..., Ground]) -> None:
    ground = make(reset="latest")
    ground.send(10)
    ground.pump.assign(ground.partitions)
    ground.send(5, first=10)
    ground.turn_until(lambda: len(ground.values()) == 5)
    assert ground.values() == [b"%d" % number for number in range(10, 15)]


def test_a_partition_is_read_from_its_start_once_its_gate_opens_and_not_before(make: Callable[..., Ground]) -> None:
    gate = HandGate()
    ground = make(gate=gate)
    ground.send(50)
    ground.pump.assign(ground.partitions)
    ground.turn(20)
    assert ground.values() == []
    gate.asked[0].set_result(None)
    ground.turn_until(lambda: len(ground.values()) == 50)
    assert ground.values() == [b"%d" % number for number in range(50)]


def test_a_gate_of_an_assignment_that_ended_opens_nothing(make: Callable[..., Ground]) -> None:
    gate = HandGate()
    ground = make(gate=gate)
    ground.send(50)
    ground.pump.assign(ground.partitions)
    ground.pump.lose(ground.partitions)
    ground.pump.assign(ground.partitions)
    gate.asked[0].set_result(None)
    ground.turn(20)
    assert ground.values() == []
    gate.asked[1].set_result(None)
    ground.turn_until(lambda: len(ground.values()) == 50)


def test_a_long_stop_for_room_does_not_open_a_gate(make: Callable[..., Ground]) -> None:
    gate = HandGate()
    ground = make(records=100, gate=gate)
    ground.send(50)
    ground.pump.assign(ground.partitions)
    ground.credit.take(100, size_bytes=0)
    ground.turn(PAUSED_AFTER_TURNS)
    ground.credit.give(100, size_bytes=0)
    ground.turn(20)
    assert ground.values() == []
    gate.asked[0].set_result(None)
    ground.turn_until(lambda: len(ground.values()) == 50)
