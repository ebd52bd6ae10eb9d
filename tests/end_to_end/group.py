"""A consumer group as its coordinator describes it."""

from collections.abc import Mapping

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

REQUEST_TIMEOUT_S = 60
NOBODY_YET = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
"""Of a group whose coordinator is being chosen, or reads what it knows."""


def members(bootstrap_servers: str, group: str) -> Mapping[str, int]:
    """Return how many partitions each member id holds; none while the group rebalances, or has no coordinator."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    (answer,) = admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S).values()
    try:
        described = answer.result()
    except KafkaException as error:
        if error.args[0].code() in NOBODY_YET:
            return {}
        raise
    if described.state is not ConsumerGroupState.STABLE:
        return {}
    return {member.member_id: len(member.assignment.topic_partitions) for member in described.members}


def shortest_session_ms(bootstrap_servers: str) -> int:
    """Return the shortest session timeout that the brokers let a member have, in milliseconds."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    broker = next(iter(admin.list_topics(timeout=REQUEST_TIMEOUT_S).brokers))
    asked = [ConfigResource(ResourceType.BROKER, str(broker))]
    (answer,) = admin.describe_configs(asked, request_timeout=REQUEST_TIMEOUT_S).values()
    return int(answer.result()["group.min.session.timeout.ms"].value)
