"""A cluster's topics in memory."""

from collections.abc import Mapping, Sequence

from stream_infer.transport.topics import WantedTopic

BROKER_DEFAULTS = {"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1"}


class FakeTopicAdmin:
    """A `TopicAdmin` without a broker; `tells` False makes it one that cannot describe configurations."""

    def __init__(self, *, tells: bool = True) -> None:
        self._topics: dict[str, WantedTopic] = {}
        self._tells = tells

    def find(self) -> Mapping[str, int]:
        """Return the partition count of every topic."""
        return {name: topic.partitions for name, topic in self._topics.items()}

    def describe(self, name: str) -> Mapping[str, str] | None:
        """Return the configuration of a topic; None where the fake cannot tell."""
        return {**BROKER_DEFAULTS, **self._topics[name].config} if self._tells else None

    def create(self, wanted: Sequence[WantedTopic]) -> None:
        """Make topics; one that exists is left as it is."""
        for topic in wanted:
            self._topics.setdefault(topic.name, topic)
