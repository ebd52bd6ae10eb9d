"""librdkafka's mock cluster: a Kafka inside this process that other processes reach over TCP. No Java, no Docker."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_infer.errors import Stop

TIMEOUT_S: Final = 10.0


class MockCluster:
    """A cluster of one broker on 127.0.0.1, there from entering the `with` block to leaving it.

    It keeps 5 MB and 100,000 records of a partition and drops the oldest beyond that. A topic appears with four
    partitions when it is first asked for, since requests to create topics are not answered; nor are requests to
    describe groups, and a second member of a group may wait long for its share. Aborted records are not hidden.
    """

    def __init__(self) -> None:
        self._owner: AdminClient | None = None
        self._bootstrap_servers = ""

    def __enter__(self) -> Self:
        # The cluster lives as long as the client that was asked for it.
        self._owner = AdminClient({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = self._owner.list_topics(timeout=TIMEOUT_S).brokers.values()
        except KafkaException as error:
            raise Stop(f"librdkafka's mock cluster did not start: {error.args[0].str()}") from error
        self._bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner = None
        self._bootstrap_servers = ""

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for other clients; empty outside the `with` block."""
        return self._bootstrap_servers

    def create_topics(self, names: Sequence[str]) -> None:
        """Make topics, four partitions each; one that exists is left as it is."""
        if self._owner is None:
            raise RuntimeError("the mock cluster is not running, expected to be inside its `with` block")
        for name in names:
            self._owner.list_topics(name, timeout=TIMEOUT_S)
