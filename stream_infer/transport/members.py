"""Live workers: the members of the input group, as the broker knows them. No heartbeats, no comparing of clocks."""

import logging
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_infer.settings import Settings
from stream_infer.transport.clients import admin_config, create_client
from stream_infer.transport.topics import MOCK_CLUSTER

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 10.0


class Members:
    """Asks which workers are members of the input group. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.application_id
        self._client = create_client(AdminClient, admin_config(settings))
        cluster_id = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).cluster_id or ""
        self._can_tell = not cluster_id.startswith(MOCK_CLUSTER)

    def live(self) -> frozenset[str] | None:
        """Return the client ids of the members, which are worker ids; None where the broker cannot tell."""
        if not self._can_tell:
            return None
        answer = self._client.describe_consumer_groups([self._group], request_timeout=REQUEST_TIMEOUT_S)[self._group]
        try:
            return frozenset(member.client_id for member in answer.result().members)
        except KafkaException as error:
            log.warning("the brokers do not tell who is in group %s: %s", self._group, error.args[0].str())
            return None
