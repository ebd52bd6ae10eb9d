"""Live workers: the members of the input group, as the broker knows them. No heartbeats, no comparing of clocks."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream_infer.errors import Retry, Stop
from stream_infer.settings import Settings
from stream_infer.transport.clients import admin_config, create_client
from stream_infer.transport.lasting_errors import FORBIDDEN
from stream_infer.transport.topics import MOCK_CLUSTER

REQUEST_TIMEOUT_S: Final = 10.0


class Members:
    """Asks which workers are members of the input group. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.application_id
        self._client = create_client(AdminClient, admin_config(settings))
        self._can_tell: bool | None = None

    def live(self) -> frozenset[str] | None:
        """Return the client ids of the members, which are worker ids; None where the broker cannot tell, as the mock.

        Raises `Stop` when this user may not ask, and `Retry` while there is no answer.
        """
        try:
            if self._can_tell is None:
                cluster_id = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).cluster_id or ""
                self._can_tell = not cluster_id.startswith(MOCK_CLUSTER)
            return self._members() if self._can_tell else None
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() == KafkaError.GROUP_ID_NOT_FOUND:
                return frozenset()
            sentence = f"the brokers do not tell who is in group {self._group}: {cause.name()} ({cause.str()})"
            if cause.code() in FORBIDDEN:
                raise Stop(f"{sentence} (expected DESCRIBE on the group to be allowed).") from error
            raise Retry(sentence) from error

    def _members(self) -> frozenset[str]:
        asked = self._client.describe_consumer_groups([self._group], request_timeout=REQUEST_TIMEOUT_S)
        return frozenset(member.client_id for member in asked[self._group].result().members)
