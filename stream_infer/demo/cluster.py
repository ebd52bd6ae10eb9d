"""The Kafka of a demo: librdkafka's mock cluster, or one of the user's; and the demo's topics on it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_infer.settings import Settings
from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.clients import admin_config, create_client, wait_for_broker
from stream_infer.transport.topics import admin_for, plan_topics, wanted_topics

log = logging.getLogger(__name__)

PARTITIONS: Final = 4
REQUEST_TIMEOUT_S: Final = 15.0
# The mock cluster answers a fetch that found nothing at the end of its wait, whatever was written meanwhile.
MOCK_CONSUMERS: Final[Mapping[str, str]] = {"fetch.wait.max.ms": "5"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka: what a person calls it, the `kafka` section that leads to it, and how the demo's topics come and go."""

    name: str
    section: Mapping[str, Any]
    topics: Callable[[Settings], AbstractContextManager[None]]


@contextmanager
def mock_cluster() -> Iterator[Cluster]:
    """Run a cluster inside this process; it goes with everything in it."""
    with MockCluster() as mock:

        @contextmanager
        def topics(settings: Settings) -> Iterator[None]:
            wanted = list(wanted_topics(settings, partitions=PARTITIONS, replication_factor=1))
            for partitions in {topic.partitions for topic in wanted}:
                names = [topic.name for topic in wanted if topic.partitions == partitions]
                mock.create_topics(names, partitions=partitions)
            yield

        section = {"bootstrap_servers": mock.bootstrap_servers, "consumer_properties": dict(MOCK_CONSUMERS)}
        yield Cluster(f"a broker inside this process, {mock.bootstrap_servers}", section, topics)


@contextmanager
def own_cluster(user: Settings) -> Iterator[Cluster]:
    """Use the cluster that the user's settings name; raises Stop when no broker answers."""
    wait_for_broker(user)
    section: dict[str, Any] = user.kafka.model_dump(mode="json")
    yield Cluster(user.kafka.bootstrap_servers, section, own_topics)


@contextmanager
def own_topics(settings: Settings) -> Iterator[None]:
    """Make the demo's topics, and remove at the end exactly those that were made here, and the consumer group.

    Raises Stop when a topic cannot be made. What cannot be removed is logged.
    """
    admin = admin_for(settings)
    made: list[str] = []
    try:
        for topic in plan_topics(admin, settings, partitions=PARTITIONS).missing:
            admin.create([topic])
            made.append(topic.name)
        yield
    finally:
        _remove(settings, made)


def _remove(settings: Settings, topics: list[str]) -> None:
    client = create_client(AdminClient, admin_config(settings))
    removals = client.delete_topics(topics, request_timeout=REQUEST_TIMEOUT_S) if topics else {}
    removals |= client.delete_consumer_groups([settings.application_id], request_timeout=REQUEST_TIMEOUT_S)
    for name, removal in removals.items():
        try:
            removal.result(REQUEST_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            log.warning("%s, which the demo made, was not removed: %s", name, error)
