"""librdkafka's mock cluster: a Kafka inside this process that other processes reach over TCP. No Java, no Docker."""

import ctypes
from collections.abc import Sequence
from enum import IntEnum
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import KafkaException, cimpl
from confluent_kafka.admin import AdminClient

from stream_infer.errors import Stop

PARTITIONS: Final = 4
"""Of a topic that nobody made."""
_TIMEOUT_S: Final = 10.0
_PRODUCER: Final = 0
_ERROR_BYTES: Final = 512
_EXISTS: Final = 36
_BROKER: Final = 1


class Request(IntEnum):
    """Requests that a transaction is made of, with their numbers in the Kafka protocol."""

    PRODUCE = 0
    FIND_COORDINATOR = 10
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class MockCluster:
    """A cluster of one broker, or more, on 127.0.0.1, there from entering the `with` block to leaving it.

    It keeps 5 MB and 100,000 records of a partition and drops the oldest beyond that. Topics are made here, since
    requests to create them are not answered; one that nobody made appears with four partitions when it is first asked
    for. Requests to describe groups are not answered either, and a second member of a group may wait long for its
    share. Aborted records are not hidden.
    """

    def __init__(self, *, brokers: int = 1) -> None:
        self._brokers = brokers
        self._library = _library()
        self._client: int | None = None
        self._cluster: int | None = None

    def __enter__(self) -> Self:
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        conf = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(conf, b"log_level", b"0", error, _ERROR_BYTES)
        self._client = self._library.rd_kafka_new(_PRODUCER, conf, error, _ERROR_BYTES)
        self._cluster = self._client and self._library.rd_kafka_mock_cluster_new(self._client, self._brokers)
        if not self._cluster:
            raise Stop(f"librdkafka's mock cluster did not start: {error.value.decode() or 'no reason given'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cluster, self._cluster = self._cluster, None
        client, self._client = self._client, None
        self._library.rd_kafka_mock_cluster_destroy(cluster)
        self._library.rd_kafka_destroy(client)

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for other clients; empty outside the `with` block."""
        if self._cluster is None:
            return ""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create_topics(self, names: Sequence[str], *, partitions: int = PARTITIONS) -> None:
        """Make topics; one that exists is left as it is. Raises Stop for one that cannot be made."""
        if self._cluster is None:
            raise RuntimeError("the mock cluster is not running, expected to be inside its `with` block")
        if partitions == PARTITIONS:
            self._ask_for(names)
            return
        for name in names:
            code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
            if code not in {0, _EXISTS}:
                raise Stop(f"librdkafka's mock cluster did not make topic {name}: error {code}")

    def fail_next(self, request: Request, *codes: int) -> None:
        """Answer the next requests of a kind with error codes of the Kafka protocol, one each."""
        errors = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(codes), errors)

    def place(self, broker: int, *, group: str, topics: Sequence[str], transactional_id: str, coordinates: int) -> None:
        """Let one broker lead all partitions and a transactional id's transactions, and another coordinate a group."""
        library, cluster = self._library, self._cluster
        library.rd_kafka_mock_coordinator_set(cluster, b"transaction", transactional_id.encode(), broker)
        library.rd_kafka_mock_coordinator_set(cluster, b"group", group.encode(), coordinates)
        for topic in topics:
            for number in range(PARTITIONS):
                library.rd_kafka_mock_partition_set_leader(cluster, topic.encode(), number, broker)

    def set_up(self, *, is_up: bool, broker: int = _BROKER) -> None:
        """Take a broker down, or bring it back."""
        change = self._library.rd_kafka_mock_broker_set_up if is_up else self._library.rd_kafka_mock_broker_set_down
        change(self._cluster, broker)

    def set_round_trip(self, *, milliseconds: int) -> None:
        """Let every answer of the broker take so long."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, _BROKER, milliseconds)

    def _ask_for(self, names: Sequence[str]) -> None:
        """Make topics as other clients do: over a call from inside the cluster may sleep a second first."""
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        for name in names:
            try:
                client.list_topics(name, timeout=_TIMEOUT_S)
            except KafkaException as error:
                raise Stop(f"librdkafka's mock cluster did not make topic {name}: {error.args[0].str()}") from error


def _library() -> Any:
    """Return librdkafka as confluent-kafka brings it, with the functions used here declared."""
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    declared = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)],
        ),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "rd_kafka_mock_coordinator_set": (number, [pointer, text, text, ctypes.c_int32]),
        "rd_kafka_mock_partition_set_leader": (number, [pointer, text, ctypes.c_int32, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
    }
    for name, (result, arguments) in declared.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
