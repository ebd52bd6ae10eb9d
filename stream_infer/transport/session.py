"""One consumer in the group and what lives and ends with it; another session begins when this one is lost."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, TopicPartition

from stream_infer.logs import Repeated
from stream_infer.pipeline.inbox import CommitAnswered
from stream_infer.records import Partition
from stream_infer.transport.bounded import unattended
from stream_infer.transport.calls import Calls
from stream_infer.transport.feed import Feed
from stream_infer.transport.gate import Gatekeeper
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers
from stream_infer.transport.ownership import Ownership
from stream_infer.transport.pauses import Pauses
from stream_infer.transport.reads import make_consumer
from stream_infer.transport.rebalance import Rebalancer
from stream_infer.transport.statistics import Statistics, read_statistics

repeated = Repeated(logging.getLogger(__name__))

REFUSED: Final = "commit of %d of %d partitions refused: %s"


class Session:
    """Made and used on the consumer thread, which serves its callbacks inside `consume()`.

    `statistics` are the newest, None before the first; `topics` are those subscribed to.
    """

    def __init__(self, feed: Feed, *, ownership: Ownership, calls: Calls, stopping: Callable[[], bool]) -> None:
        self._feed = feed
        self._ownership = ownership
        self._is_over = False
        self._known = KnownBrokers()
        self.statistics: Statistics | None = None
        self.topics: Sequence[str] = ()
        hearing = {"on_commit": self._heard(self._on_commit), "stats_cb": self._heard(self._on_statistics)}
        self.consumer, self.take_reads = make_consumer({**STATISTICS, **feed.properties, **hearing})
        self.gatekeeper = Gatekeeper(self.consumer, feed.gate)
        self.pauses = Pauses(self.consumer, ownership=ownership, gatekeeper=self.gatekeeper)
        self.rebalancer = Rebalancer(
            self.consumer,
            ownership=ownership,
            inbox=feed.inbox,
            calls=calls,
            gatekeeper=self.gatekeeper,
            reset=lambda topic: "earliest" if topic in feed.read_whole else feed.reset,
            state=feed.state,
            stopping=stopping,
        )

    @property
    def is_lost(self) -> bool:
        """Whether the consumer knows of no broker any more, so that another session must begin."""
        return self._known.are_lost or self.rebalancer.gave_up

    def subscribe(self, topics: Sequence[str]) -> None:
        """Join the group for `topics`."""
        self.topics = topics
        self.consumer.subscribe(
            list(topics),
            on_assign=self._heard(self.rebalancer.on_assign),
            on_revoke=self._heard(self.rebalancer.on_revoke),
            on_lost=self._heard(self.rebalancer.on_lost),
        )

    def give_up(self) -> None:
        """End it without the brokers: what is owned is lost, and the consumer closes whenever it can."""
        if sources := self._ownership.sources:
            self.rebalancer.on_lost(self.consumer, [TopicPartition(*source) for source in sources])
        self._is_over = True
        unattended(self.consumer.close)

    def _heard(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Return a callback that is deaf once the session was given up: the consumer closes on another thread."""

        def hear(*told: Any) -> None:
            if not self._is_over:
                callback(*told)

        return hear

    def _on_statistics(self, statistics: str) -> None:
        self._known.hear(statistics)
        self.statistics = read_statistics(statistics)
        self._feed.state.ends = self.statistics.ends

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Tell the compute side which positions the broker took."""
        taken = {Partition(one.topic, one.partition): one.offset for one in offsets if error is None and not one.error}
        self._feed.state.commits["committed" if len(taken) == len(offsets) else "refused"] += 1
        if len(taken) < len(offsets):
            refusal = error or next(one.error for one in offsets if one.error)
            repeated.warning(REFUSED, len(offsets) - len(taken), len(offsets), refusal)
        self._feed.inbox.put(CommitAnswered(taken))
