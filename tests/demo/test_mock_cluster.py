import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_infer.testing.mock_cluster import MockCluster

QUIET = {"log_level": 0}


def test_other_clients_write_and_read() -> None:
    with MockCluster() as cluster:
        address = {"bootstrap.servers": cluster.bootstrap_servers, **QUIET}
        producer = Producer(address)
        producer.produce("words", b"word", b"key", partition=2)
        assert producer.flush(10) == 0
        consumer = Consumer({**address, "group.id": "readers"})
        consumer.assign([TopicPartition("words", 2, 0)])
        message = consumer.poll(10)
        consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"key", b"word")


def test_topics_are_there_before_anybody_writes() -> None:
    with MockCluster() as cluster:
        cluster.create_topics(["one", "two"])
        cluster.create_topics(["two"])
        cluster.create_topics(["log"], partitions=1)
        found = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, **QUIET}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in found.items()} == {"one": 4, "two": 4, "log": 1}


def test_two_clusters_know_nothing_of_each_other() -> None:
    with MockCluster() as one, MockCluster() as other:
        one.create_topics(["mine"])
        found = AdminClient({"bootstrap.servers": other.bootstrap_servers, **QUIET}).list_topics(timeout=10).topics
    assert found == {}


def test_a_cluster_that_does_not_run_says_so() -> None:
    cluster = MockCluster()
    assert cluster.bootstrap_servers == ""
    with pytest.raises(RuntimeError, match="is not running"):
        cluster.create_topics(["one"])
