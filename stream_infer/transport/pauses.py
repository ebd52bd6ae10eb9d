"""Which owned partitions are not read for now: those of agents that are behind, and all while nothing more fits in."""

from collections.abc import Iterable

from confluent_kafka import Consumer, TopicPartition

from stream_infer.records import Partition
from stream_infer.transport.gate import Gatekeeper
from stream_infer.transport.ownership import Ownership


class Pauses:
    """Pauses partitions of one consumer, on whose thread every method runs; `is_total` says that nothing is read.

    What waits for its gate is not let go of here.
    """

    def __init__(self, consumer: Consumer, *, ownership: Ownership, gatekeeper: Gatekeeper) -> None:
        self._consumer = consumer
        self._ownership = ownership
        self._gatekeeper = gatekeeper
        self._held: set[Partition] = set()
        self.is_total = False

    def pause_all(self) -> None:
        """Read nothing; to be called again while that lasts, because partitions may be assigned meanwhile."""
        self.is_total = True
        self._consumer.pause(as_partitions(self._ownership.sources))

    def resume_all(self) -> None:
        """Read again what neither an agent nor a gate holds up."""
        self.is_total = False
        self._held &= set(self._ownership.sources)
        self._consumer.resume(as_partitions(set(self._ownership.sources) - self._held - self._gatekeeper.held))

    def hold(self, source: Partition) -> None:
        """Do not read a partition whose agent is behind."""
        if source in self._ownership.sources:
            self._held.add(source)
            self._consumer.pause(as_partitions([source]))

    def release(self, source: Partition) -> None:
        """Read it again."""
        self._held.discard(source)
        if source in self._ownership.sources and source not in self._gatekeeper.held:
            self.let_in([source])

    def let_in(self, sources: Iterable[Partition]) -> None:
        """Read partitions whose gate opened, unless something else holds them up."""
        if not self.is_total:
            self._consumer.resume(as_partitions(set(sources) - self._held))

    def hold_again(self) -> None:
        """Pause what is held once more, after something else let it go on."""
        self._consumer.pause(as_partitions(self._held & set(self._ownership.sources)))


def as_partitions(sources: Iterable[Partition]) -> list[TopicPartition]:
    """Return partitions as librdkafka takes them."""
    return [TopicPartition(*source) for source in sources]
