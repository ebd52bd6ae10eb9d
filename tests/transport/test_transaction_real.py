"""Transactions on a real Kafka: what a reader of committed records sees, and who is fenced off."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from stream_infer.errors import Undone
from stream_infer.pipeline.ports import Outgoing
from stream_infer.records import Partition, Position
from stream_infer.testing.clock import HandClock
from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.transport.transaction import TransactionalSink

WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Topics of one test, and a member of the group that commits."""

    servers: str
    source: str
    output: str
    group: str
    clock: HandClock
    member: Consumer

    def sink(self) -> TransactionalSink:
        made = TransactionalSink(
            {
                "bootstrap.servers": self.servers,
                "transactional.id": f"{self.group}-worker",
                "transaction.timeout.ms": 10_000,
                "message.timeout.ms": 10_000,
                "delivery.report.only.error": True,
                "log_level": 0,
            },
            clock=self.clock,
        )
        self.recover(made)
        return made

    def recover(self, sink: TransactionalSink) -> None:
        while not sink.recover(within_s=1.0):
            self.clock.now_s += 10.0

    def send(self, sink: TransactionalSink, value: bytes) -> None:
        # As the path does: a producer whose connection broke in the transaction before is another one by now.
        self.recover(sink)
        sink.send(Outgoing(self.output, keys=[None], values=[value], timestamps_ms=np.array([-1])))

    def commit(self, sink: TransactionalSink, offset: int) -> None:
        positions = {Partition(self.source, 0): Position(1, offset)}
        sink.commit(positions, self.member.consumer_group_metadata(), within_s=WITHIN_S).result()

    def committed(self) -> int:
        (found,) = self.member.committed([TopicPartition(self.source, 0)], timeout=WITHIN_S)
        return int(found.offset)

    def seen(self) -> list[bytes | None]:
        """Return what lies before the end of what is committed."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": "reader", "enable.partition.eof": True})
        reader.assign([TopicPartition(self.output, 0, OFFSET_BEGINNING)])
        values: list[bytes | None] = []
        while True:
            message = reader.poll(WITHIN_S)
            assert message is not None
            if message.error():
                reader.close()
                return values
            values.append(message.value())


@pytest.fixture
def ground(kafka: Cluster, topics: Topics) -> Iterator[Ground]:
    source, group = topics.create("in", 1), topics.name("group")
    member = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "enable.auto.commit": False})
    member.subscribe([source])
    while not member.assignment():
        member.poll(0.1)
    yield Ground(kafka.bootstrap_servers, source, topics.create("out", 1), group, HandClock(), member)
    member.close()


def test_records_and_positions_are_seen_together_and_those_of_a_rollback_never(ground: Ground) -> None:
    sink = ground.sink()
    ground.send(sink, b"first")
    assert ground.seen() == []
    ground.commit(sink, 1)
    ground.send(sink, b"rolled back")
    sink.abort(within_s=WITHIN_S)
    ground.send(sink, b"second")
    ground.commit(sink, 2)
    assert ground.seen() == [b"first", b"second"]
    assert ground.committed() == 2


def test_another_producer_of_the_same_id_fences_the_first_which_goes_on_as_a_new_one(ground: Ground) -> None:
    first = ground.sink()
    ground.send(first, b"fenced off")
    second = ground.sink()
    with pytest.raises(Undone):
        ground.commit(first, 1)
    ground.send(second, b"answer")
    ground.commit(second, 1)
    assert not first.is_open
    ground.clock.now_s += 10.0
    ground.send(first, b"answer to the next")
    ground.commit(first, 2)
    assert ground.seen() == [b"answer", b"answer to the next"]


def test_one_that_is_no_member_any_more_commits_nothing(ground: Ground) -> None:
    sink = ground.sink()
    ground.send(sink, b"late")
    stale = ground.member.consumer_group_metadata()
    ground.member.unsubscribe()
    while ground.member.memberid():
        ground.member.poll(0.1)
    with pytest.raises(Undone):
        sink.commit({Partition(ground.source, 0): Position(1, 1)}, stale, within_s=WITHIN_S).result()
    sink.abort(within_s=WITHIN_S)
    assert ground.seen() == []
