"""Topics that no other test uses."""

import re
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

_TIMEOUT_S = 60


class Topics:
    """Makes topics with names of their own on one cluster, and deletes them again."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        self._made: list[str] = []

    def create(self, name_hint: str, partitions: int = 4, **config: str | int) -> str:
        """Make a topic and return its name, which starts with `name_hint`, once the cluster knows it.

        `config` are topic settings with `_` for the dot: `cleanup_policy="compact"`. Raises KafkaException.
        """
        name = self.name(name_hint)
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, config=settings)
        self._admin.create_topics([topic], operation_timeout=_TIMEOUT_S)[name].result(_TIMEOUT_S)
        return name

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
