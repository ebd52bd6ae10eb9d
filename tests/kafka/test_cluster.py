import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource

from stream_infer.testing.kafka import Cluster, Topics

VALUES = [f"event {number}".encode() for number in range(100)]


def producer(cluster: Cluster, **properties: str | int) -> Producer:
    return Producer({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0, **properties})


def write(cluster: Cluster, topic: str, values: list[bytes]) -> None:
    sender = producer(cluster)
    for value in values:
        sender.produce(topic, value, partition=0)
    assert sender.flush(60) == 0


def read(cluster: Cluster, topic: str, *, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": topic, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, timeout=60)
    consumer.close()
    return [message.value() for message in messages]


def test_what_is_produced_is_consumed(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("events")
    write(kafka, topic, VALUES)
    assert read(kafka, topic, count=len(VALUES)) == VALUES


def test_a_transaction_commits(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("events")
    sender = producer(kafka, **{"transactional.id": topic})
    sender.init_transactions(60)
    sender.begin_transaction()
    sender.produce(topic, b"event", partition=0)
    sender.commit_transaction(60)
    assert read(kafka, topic, count=1) == [b"event"]


def test_a_topic_has_the_partitions_and_the_settings_it_was_made_with(kafka: Cluster, topics: Topics) -> None:
    topic = topics.create("events", partitions=7, cleanup_policy="compact")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    assert len(admin.list_topics(topic, timeout=60).topics[topic].partitions) == 7
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    assert admin.describe_configs([resource])[resource].result(60)["cleanup.policy"].value == "compact"


def test_a_misspelt_topic_is_an_error(kafka: Cluster, topics: Topics) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    name = topics.name("never-made")
    error = admin.list_topics(name, timeout=60).topics[name].error
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_data_and_port_outlive_a_stop(stoppable_kafka: Cluster) -> None:
    topics = Topics(stoppable_kafka.bootstrap_servers)
    topic, address = topics.create("events"), stoppable_kafka.bootstrap_servers
    write(stoppable_kafka, topic, VALUES)
    stoppable_kafka.stop()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=1)
    stoppable_kafka.start()
    assert stoppable_kafka.bootstrap_servers == address
    assert read(stoppable_kafka, topic, count=len(VALUES)) == VALUES


def test_a_paused_broker_answers_nothing_and_goes_on_where_it_was(stoppable_kafka: Cluster) -> None:
    topic = Topics(stoppable_kafka.bootstrap_servers).create("events")
    stoppable_kafka.pause()
    sender = producer(stoppable_kafka)
    sender.produce(topic, b"event", partition=0)
    assert sender.flush(1) == 1
    stoppable_kafka.resume()
    assert sender.flush(60) == 0
    assert read(stoppable_kafka, topic, count=1) == [b"event"]
