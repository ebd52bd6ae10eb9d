"""Topics that no other test uses."""

import re
import time
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

from stream_infer.testing.kafka.cluster import Unavailable

_TIMEOUT_S = 60


class Topics:
    """Makes topics with names of their own on one cluster, and deletes them again."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        self._made: list[str] = []

    def create(self, name_hint: str, partitions: int = 4, **config: str | int) -> str:
        """Make a topic and return its name, which starts with `name_hint`, once the cluster knows it.

        `config` are topic settings with `_` for the dot: `cleanup_policy="compact"`. Raises KafkaException, or
        Unavailable when partitions stay without a leader.
        """
        name = self.name(name_hint)
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, config=settings)
        self._admin.create_topics([topic], operation_timeout=_TIMEOUT_S)[name].result(_TIMEOUT_S)
        self._wait_until_led(name, partitions)
        return name

    def _wait_until_led(self, name: str, partitions: int) -> None:
        """Wait until clients are told of every partition and its leader, which is a moment after the topic is made."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline_s:
            found = self._admin.list_topics(name, timeout=_TIMEOUT_S).topics[name].partitions.values()
            if len(found) == partitions and all(one.leader >= 0 for one in found):
                return
        raise Unavailable(f"topic {name} has no leaders after {_TIMEOUT_S} s")

    def name(self, name_hint: str) -> str:
        """Return a name that nothing has yet, for a topic that the program under test makes, or for a group."""
        name = f"{re.sub(r'[^a-zA-Z0-9._-]', '-', name_hint)}-{uuid.uuid4().hex[:8]}"
        self._made.append(name)
        return name

    def delete_all(self) -> None:
        """Delete every topic with one of these names; a name without a topic is no error."""
        if self._made:
            for deleted in self._admin.delete_topics(self._made, operation_timeout=_TIMEOUT_S).values():
                deleted.exception(_TIMEOUT_S)
        self._made.clear()
