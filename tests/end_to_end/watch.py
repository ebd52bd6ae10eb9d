"""A run as a stranger to it sees it: offsets asked of the broker."""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.checker.history import Observation, Partition

REQUEST_TIMEOUT_S = 60.0
RETRY_S = 0.1
NO_COORDINATOR_YET = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)


class Watch:
    """Asks for the committed offsets of one group and the ends of topics; it never joins the group.

    `observed` keeps what every call of `observe` saw, for the checker.
    """

    def __init__(self, bootstrap_servers: str, *, group: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        # What a dead worker's transaction holds back must not keep a stranger waiting, and a transaction's marker may
        # reach the committed offsets before it reaches the topics of answers.
        isolation = {"isolation.level": "read_uncommitted"}
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0} | isolation
        )
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self.observed: list[Observation] = []

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def pause(self, timeout_s: float) -> None:
        """Let `timeout_s` pass, serving the client."""
        self._consumer.poll(timeout_s)

    def observe(self) -> Observation:
        """Return the committed offsets, and the ends of the topics of answers read after them."""
        committed = self.committed()
        seen = Observation(committed, self.ends(*self._outputs))
        self.observed.append(seen)
        return seen

    def committed(self) -> dict[Partition, int]:
        """Return the committed offset of every input partition that has one."""
        found = self._ask_committed([TopicPartition(*lane) for lane in self._lanes(self._inputs)])
        return {Partition(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def ends(self, *topics: str) -> dict[Partition, int]:
        """Return the next offset of every partition of `topics`, whatever a reader of committed records sees."""
        return {lane: self._end(lane) for lane in self._lanes(topics)}

    def answered(self) -> int:
        """Return how many records there are in the topics of answers, repeated ones included."""
        return sum(self.ends(*self._outputs).values())

    def waiting(self) -> int:
        """Return how many input records are not committed yet."""
        committed = self.observe().committed
        return sum(end - committed.get(lane, 0) for lane, end in self.ends(*self._inputs).items())

    def is_done(self) -> bool:
        """Return whether every input record is committed."""
        return self.waiting() == 0

    def _ask_committed(self, lanes: list[TopicPartition]) -> list[TopicPartition]:
        """Ask again while the group has no coordinator yet, as after a start of the broker."""
        deadline_s = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                return self._consumer.committed(lanes, timeout=REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() not in NO_COORDINATOR_YET or time.monotonic() > deadline_s:
                    raise
                self.pause(RETRY_S)

    def _lanes(self, topics: Sequence[str]) -> list[Partition]:
        known = {topic: self._consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic] for topic in topics}
        return [Partition(topic, number) for topic, found in known.items() for number in sorted(found.partitions)]

    def _end(self, lane: Partition) -> int:
        _, high = self._consumer.get_watermark_offsets(TopicPartition(*lane), timeout=REQUEST_TIMEOUT_S)
        return int(high)
