"""The topics that the worker needs: what each should be like, what is missing, and making it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from stream_infer.errors import Stop
from stream_infer.settings import Settings
from stream_infer.transport.clients import HEADER_ROOM_BYTES, admin_config, create_client

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 30.0
MOCK_CLUSTER: Final = "mockCluster"
"""How the ids of librdkafka's mock clusters begin."""
LOOK_AGAIN_S: Final = 0.05
LOOKS: Final = 400
DEFAULT_PARTITIONS: Final = 4
BROKER_DEFAULT: Final = -1
"""The replication factor that lets the broker decide."""
BROKER_MESSAGE_BYTES: Final = 1_048_588
"""What a broker takes as one message unless told otherwise."""
FOR_EVER: Final = "-1"
STATUS_RETENTION_MS: Final = 30 * 24 * 3600 * 1000

CONTROL_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": FOR_EVER, "retention.bytes": FOR_EVER}
STATUS_CONFIG: Final = {"cleanup.policy": "delete", "retention.ms": str(STATUS_RETENTION_MS)}


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as it should be made: `config` holds only what must differ from the broker's defaults."""

    name: str
    partitions: int
    replication_factor: int = BROKER_DEFAULT
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it is; `config` is None where the broker cannot tell."""

    name: str
    partitions: int
    config: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class CheckedTopics:
    """What the brokers said when the worker started.

    `partitions` are the counts of all topics; `limit_bytes` is what output and dead-letter topic both take as one
    message, None where the broker cannot tell.
    """

    partitions: Mapping[str, int]
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What there is, what must be made, and a sentence for everything that is set wrongly."""

    existing: tuple[FoundTopic, ...]
    missing: tuple[WantedTopic, ...]
    wrong: tuple[str, ...]


class TopicAdmin(Protocol):
    """What is asked of the brokers about topics; `testing.FakeTopicAdmin` is the other implementation."""

    def find(self) -> Mapping[str, int]:
        """Return the partition count of every topic that this user may see."""
        ...

    def describe(self, name: str) -> Mapping[str, str] | None:
        """Return the configuration of a topic that exists; None where the broker cannot tell."""
        ...

    def create(self, wanted: Sequence[WantedTopic]) -> None:
        """Make topics and return once they are there; one that exists by now is left as it is.

        Raises Stop naming the first that cannot be made.
        """
        ...


class KafkaTopicAdmin:
    """`TopicAdmin` over librdkafka's admin client."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def find(self) -> Mapping[str, int]:
        """Return the partition count of every topic; asks for all at once, because asking by name can create one."""
        topics = self._metadata().topics
        return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}

    def describe(self, name: str) -> Mapping[str, str] | None:
        """Return the configuration of a topic; None where the broker cannot tell or does not let this user ask."""
        if (self._metadata().cluster_id or "").startswith(MOCK_CLUSTER):
            # It does not know the request, which would wait in vain for a controller.
            return None
        resource = ConfigResource(ResourceType.TOPIC, name)
        (answer,) = self._client.describe_configs([resource], request_timeout=REQUEST_TIMEOUT_S).values()
        try:
            return {key: entry.value for key, entry in answer.result().items()}
        except KafkaException as error:
            log.warning("the brokers do not tell how topic %s is configured: %s", name, _reason(error))
            return None

    def _metadata(self) -> ClusterMetadata:
        try:
            return self._client.list_topics(timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise Stop(f"The brokers did not list their topics: {_reason(error)}.") from error

    def create(self, wanted: Sequence[WantedTopic]) -> None:
        """Make topics, all in one request, and wait until the broker that answers knows them."""
        if not wanted:
            return
        self._request(wanted)
        # The controller answers before every broker has learnt of the topics; `poll` is the wait between two looks.
        for _ in range(LOOKS):
            if {topic.name for topic in wanted} <= set(self.find()):
                return
            self._client.poll(LOOK_AGAIN_S)
        raise Stop(f"Topics were made and then not seen by this user: {', '.join(topic.name for topic in wanted)}.")

    def _request(self, wanted: Sequence[WantedTopic]) -> None:
        for name, made in self._client.create_topics([_new(topic) for topic in wanted]).items():
            try:
                made.result(REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Stop(f"Topic {name} cannot be created: {_reason(error)}.") from error


def admin_for(settings: Settings) -> TopicAdmin:
    """Return the admin of the cluster that the settings name."""
    return KafkaTopicAdmin(create_client(AdminClient, admin_config(settings)))


def check_topics(admin: TopicAdmin, settings: Settings) -> CheckedTopics:
    """Return what is known of topics; raises Stop, naming what is missing of those that scoring reads and writes."""
    topics = settings.topics
    partitions = _require(admin, (*topics.input, topics.output, topics.dead_letter), settings)
    return CheckedTopics(partitions, _smallest_message_limit(admin, [topics.output, topics.dead_letter]))


def note_retry_topic(admin: TopicAdmin, settings: Settings) -> None:
    """Say it when there is no retry topic: scoring does not need one, and it is read once it is there."""
    if settings.topics.retry not in admin.find():
        log.warning(
            "topic %s is not there, so nothing can be replayed: `stream-infer topics create` makes it",
            settings.topics.retry,
        )


def require_topic(admin: TopicAdmin, topic: str, settings: Settings) -> None:
    """Raise Stop, naming `topic`, unless it is there."""
    _require(admin, (topic,), settings)


def _require(admin: TopicAdmin, names: Sequence[str], settings: Settings) -> Mapping[str, int]:
    found = admin.find()
    missing = [name for name in names if name not in found]
    if missing:
        what = "Topic" if len(missing) == 1 else "Topics"
        verb = "is" if len(missing) == 1 else "are"
        raise Stop(
            f"{what} {', '.join(missing)} {verb} not on {settings.kafka.bootstrap_servers} (or hidden from this user), "
            f"expected to be: run `stream-infer topics create`."
        )
    return found


def _smallest_message_limit(admin: TopicAdmin, names: Sequence[str]) -> int | None:
    """Return the bytes that every one of these topics takes as one message; None where the broker cannot tell."""
    limits = [(admin.describe(name) or {}).get("max.message.bytes") for name in names]
    return min((int(limit) for limit in limits if limit is not None), default=None)


def plan_topics(
    admin: TopicAdmin, settings: Settings, *, partitions: int | None, replication_factor: int = BROKER_DEFAULT
) -> TopicPlan:
    """Return what there is of all topics that the settings name, what must be made and what is set wrongly.

    `partitions` None means as many as the widest input topic that exists has, else four.
    """
    found = admin.find()
    count = partitions or max(
        (found[name] for name in settings.topics.input if name in found), default=DEFAULT_PARTITIONS
    )
    wanted = tuple(wanted_topics(settings, partitions=count, replication_factor=replication_factor))
    control = settings.topics.control
    existing = tuple(
        FoundTopic(topic.name, found[topic.name], admin.describe(control) if topic.name == control else None)
        for topic in wanted
        if topic.name in found
    )
    return TopicPlan(
        existing=existing,
        missing=tuple(topic for topic in wanted if topic.name not in found),
        wrong=tuple(sentence for topic in existing if topic.name == control for sentence in control_faults(topic)),
    )


def wanted_topics(settings: Settings, *, partitions: int, replication_factor: int) -> Iterator[WantedTopic]:
    """Return every topic that the settings name, as it should be made."""
    topics = settings.topics
    for name in (*topics.input, topics.output):
        yield WantedTopic(name, partitions, replication_factor)
    # Whatever was read must fit, with the headers that say why it could not be scored.
    roomy = {
        "max.message.bytes": str(max(BROKER_MESSAGE_BYTES, settings.delivery.max_record_bytes + HEADER_ROOM_BYTES))
    }
    for name in (topics.dead_letter, topics.retry):
        yield WantedTopic(name, partitions, replication_factor, roomy)
    yield WantedTopic(topics.control, 1, replication_factor, CONTROL_CONFIG)
    yield WantedTopic(topics.status, 1, replication_factor, STATUS_CONFIG)


def control_faults(topic: FoundTopic) -> Iterator[str]:
    """Say, a sentence each, what is wrong with a control topic: it must keep every record, in one order."""
    if topic.partitions != 1:
        yield f"Topic {topic.name} has {topic.partitions} partitions, expected 1: rollouts need one order."
    config = topic.config or {}
    for key, expected in CONTROL_CONFIG.items():
        if config.get(key, expected) != expected:
            yield f"Topic {topic.name} has {key}={config[key]}, expected {expected}: every rollout must be kept."


def _new(topic: WantedTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config=dict(topic.config),
    )


def _reason(error: KafkaException) -> str:
    cause = error.args[0]
    return cause.str() if isinstance(cause, KafkaError) else str(error)
