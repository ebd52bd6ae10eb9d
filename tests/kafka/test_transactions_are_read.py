"""The fates of transactions and a group's positions, as a real broker's logs hold them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_infer.testing.kafka import Cluster, Topics
from tests.checker.history import Partition
from tests.checker.once import one_owner
from tests.checker.transactions import read_commits, read_written
from tests.checker.wire import read_batches

TIMEOUT_S = 60


def producer(cluster: Cluster, name: str) -> Producer:
    made = Producer({"bootstrap.servers": cluster.bootstrap_servers, "transactional.id": name, "log_level": 0})
    made.init_transactions(TIMEOUT_S)
    return made


def write(sender: Producer, topic: str, count: int) -> None:
    for number in range(count):
        sender.produce(topic, b"%d" % number, partition=0)
    assert sender.flush(TIMEOUT_S) == 0


@contextmanager
def member(cluster: Cluster, group: str, topic: str) -> Iterator[Consumer]:
    """Give the only member of a group, with its partitions."""
    properties = {"bootstrap.servers": cluster.bootstrap_servers, "group.id": group, "log_level": 0}
    with closing(Consumer(properties)) as consumer:
        consumer.subscribe([topic])
        while not consumer.assignment():
            consumer.poll(1)
        yield consumer


def commit(sender: Producer, consumer: Consumer, lane: Partition, offset: int) -> None:
    where = [TopicPartition(lane.topic, lane.partition, offset)]
    sender.send_offsets_to_transaction(where, consumer.consumer_group_metadata(), TIMEOUT_S)


def test_each_batch_has_the_fate_of_its_transaction(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("out", partitions=1)
    sender = producer(kafka, topics.name("first"))
    for end in (sender.commit_transaction, sender.abort_transaction):
        sender.begin_transaction()
        write(sender, topic, 3)
        end(TIMEOUT_S)
    write_plain = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    write(write_plain, topic, 1)
    sender.begin_transaction()
    write(sender, topic, 2)
    # Markers are no data. A transaction has ended before its marker is written: where they lie is the broker's affair.
    fates = {
        offset: one.fate
        for one in read_written(kafka.bootstrap_servers, topic)
        for offset in range(one.first, one.last + 1)
    }
    in_order = [fates[offset] for offset in sorted(fates)]
    assert in_order == ["committed"] * 3 + ["aborted"] * 3 + ["in no transaction"] + ["open"] * 2
    sender.abort_transaction(TIMEOUT_S)


def test_positions_that_counted_name_their_generation_and_their_producer(kafka: Cluster, topics: Topics) -> None:
    topic, group = topics.create("in", partitions=1), topics.name("group")
    lane = Partition(topic, 0)
    sender = producer(kafka, topics.name("owner"))
    with member(kafka, group, topic) as consumer:
        for offset, end in ((5, sender.commit_transaction), (9, sender.abort_transaction)):
            sender.begin_transaction()
            commit(sender, consumer, lane, offset)
            end(TIMEOUT_S)
    other = producer(kafka, topics.name("next-owner"))
    with member(kafka, group, topic) as consumer:
        other.begin_transaction()
        commit(other, consumer, lane, 7)
        other.commit_transaction(TIMEOUT_S)
    first, second = read_commits(kafka.bootstrap_servers, group)
    assert (first.lane, first.offset, second.lane, second.offset) == (lane, 5, lane, 7)
    assert first.generation < second.generation
    assert first.producer != second.producer


def test_a_second_producer_that_commits_beside_the_owner_is_found(kafka: Cluster, topics: Topics) -> None:
    topic, group = topics.create("in", partitions=1), topics.name("group")
    owner, zombie = producer(kafka, topics.name("owner")), producer(kafka, topics.name("zombie"))
    with member(kafka, group, topic) as consumer:
        # The broker lets it: the second one borrows the membership of the first.
        for offset, sender in ((5, owner), (9, zombie)):
            assert list(one_owner(read_commits(kafka.bootstrap_servers, group))) == []
            sender.begin_transaction()
            commit(sender, consumer, Partition(topic, 0), offset)
            sender.commit_transaction(TIMEOUT_S)
    assert [one.law for one in one_owner(read_commits(kafka.bootstrap_servers, group))] == ["I7"]


def test_a_long_log_is_read_in_several_answers_without_a_gap(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("long", partitions=1)
    sender = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0, "linger.ms": 50})
    for _ in range(200):
        sender.produce(topic, bytes(100_000), partition=0)
    assert sender.flush(TIMEOUT_S) == 0
    batches = list(read_batches(kafka.bootstrap_servers, topic))
    assert [one.first for one in batches] == [0, *(one.last + 1 for one in batches[:-1])]
    assert batches[-1].last == 199


def test_a_compressed_batch_says_so_when_its_records_are_asked_for(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("compressed", partitions=1)
    sender = Producer({"bootstrap.servers": kafka.bootstrap_servers, "compression.type": "gzip", "log_level": 0})
    sender.produce(topic, bytes(1000), partition=0)
    assert sender.flush(TIMEOUT_S) == 0
    (batch,) = read_batches(kafka.bootstrap_servers, topic)
    with pytest.raises(ValueError, match="compressed"):
        next(batch.entries())
