"""What happens when partitions come and go: the callbacks that librdkafka runs inside `consume()`.

Rules: rewind only to offsets that the broker holds as committed; at a revoke deliver and commit first, give up after;
at a loss commit nothing. All of it runs on the consumer thread.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from itertools import count
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from stream_infer.errors import Stop
from stream_infer.logs import Repeated
from stream_infer.pipeline.inbox import Begin, Forget, Inbox, Rewound
from stream_infer.records import Partition, Position, Positions
from stream_infer.transport.calls import Calls
from stream_infer.transport.feed import PumpState
from stream_infer.transport.gate import Gatekeeper
from stream_infer.transport.lasting_errors import may_pass
from stream_infer.transport.ownership import Ownership, Start

log = logging.getLogger(__name__)
repeated = Repeated(log)

COMMITTED_TIMEOUT_S: Final = 10.0
START_ATTEMPT_S: Final = 2.0
"""Of one question where partitions start, which a dead owner's transaction may hold up; `waiting` is called between."""
ATTEMPTS: Final = 10
"""After so many it is looked whether there is any broker to ask."""
ASK_AGAIN_S: Final = 0.1
SETTLE_TIMEOUT_S: Final = 45.0
WAITING: Final = "waiting for committed offsets: %s"
NO_GENERATION: Final = b"CGMDv2:\xff\xff\xff\xff"
"""How librdkafka writes the membership of one who waits for the group: a generation of -1."""


class Rebalancer:
    """Assigns, settles and gives up partitions; `reset` gives `kafka.auto_offset_reset` of a topic.

    `gave_up` says that partitions could not be started because no broker was found: another consumer must begin.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        ownership: Ownership,
        inbox: Inbox,
        calls: Calls,
        gatekeeper: Gatekeeper,
        reset: Callable[[str], str],
        state: PumpState,
        stopping: Callable[[], bool],
    ) -> None:
        self._consumer = consumer
        self._ownership = ownership
        self._inbox = inbox
        self._calls = calls
        self._gatekeeper = gatekeeper
        self._reset = reset
        self._state = state
        self._stopping = stopping
        self.closing = False
        self.gave_up = False
        self.waiting: Callable[[], None] = lambda: None
        self.failure: Stop | None = None
        self._unrestarted: set[Partition] = set()

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Start new partitions at their committed offsets."""
        try:
            starts = self._starts(partitions)
        except Stop as failure:
            self.failure = failure
            starts = []
        self._inbox.put(Begin(self._ownership.assign(starts)))
        self._begin(starts)
        sources = [start.source for start in starts]
        self._gatekeeper.hold(sources)
        self._state.rebalances["assigned"] += 1
        log.info("assigned %s", _listing(sources))

    def _begin(self, starts: Sequence[Start]) -> None:
        started = [TopicPartition(*start.source, start.offset) for start in starts]
        self._consumer.incremental_assign(started)
        # librdkafka remembers a pause beyond the loss of the partition; the pump pauses again if it still must.
        self._consumer.resume(started)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Deliver and commit what was scored of the partitions, then give them up."""
        sources = [_source(partition) for partition in partitions]
        if not self.closing:
            self.commit_now(self._settle(sources))
        self._give_up(sources)
        consumer.incremental_unassign(partitions)
        self._state.rebalances["revoked"] += 1
        log.info("revoked %s", _listing(sources))

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give up partitions that already belong to somebody else: nothing of them is committed."""
        sources = [_source(partition) for partition in partitions]
        self._give_up(sources)
        self._inbox.put(Forget(sources))
        consumer.incremental_unassign(partitions)
        self._state.rebalances["lost"] += 1
        log.warning("lost %s: what was not committed will be scored again", _listing(sources))

    def _give_up(self, sources: Sequence[Partition]) -> None:
        self._ownership.revoke(sources)
        self._gatekeeper.forget(sources)

    def restart(self, source: Partition) -> None:
        """Read on, by the reset policy, after the position of a partition was lost to retention.

        Rows already polled stay valid: they are gone from the topic, so nobody else could answer them. A position
        beyond the end, which a topic made anew has, begins a new epoch instead.
        """
        self._unrestarted.discard(source)
        if source not in self._ownership.sources:
            return
        try:
            low, high = self._watermarks(source)
        except KafkaException as error:
            if not may_pass(error):
                raise Stop(f"cannot read {source}: {error.args[0].str()}") from error
            repeated.warning("%s cannot be read on yet: %s", source, error.args[0].str())
            self._unrestarted.add(source)
            return
        self._restart_within(source, low, high)

    def _restart_within(self, source: Partition, low: int, high: int) -> None:
        """Read on inside what the topic holds."""
        reset = self._reset(source.topic)
        start = low if reset == "earliest" else high
        if reset == "error":
            message = f"{source}: the position was lost to retention (the topic holds {low} to {high - 1})"
            raise Stop(message)
        text = "%s: the position was lost, the topic holds %d to %d: reading goes on at %d"
        repeated.error(text, source, low, high - 1, start, each=source)
        self._state.positions_lost += 1
        if (self._ownership.start_of(source) or 0) > start:
            self._inbox.put(Begin(self._ownership.assign([Start(source, start, committed=False)])))
        # A partition that librdkafka gave up cannot be sought; it can be given up and assigned.
        self._consumer.incremental_unassign([TopicPartition(*source)])
        self._begin([Start(source, start, committed=False)])
        self._gatekeeper.pause_held()

    def restart_again(self) -> None:
        """Restart what could not be restarted before."""
        for source in tuple(self._unrestarted):
            self.restart(source)

    def read_from(self, source: Partition, offset: int) -> None:
        """Read one owned partition from an offset on, whatever trouble it is in."""
        try:
            self._consumer.seek(TopicPartition(*source, offset))
        except KafkaException as error:
            repeated.info("%s is assigned again, because it cannot be sought: %s", source, error.args[0].str())
            self._consumer.incremental_unassign([TopicPartition(*source)])
            self._begin([Start(source, offset, committed=False)])
            self._gatekeeper.pause_held()

    def rewind(self) -> bool:
        """Read every owned partition again from its committed position, under a new epoch.

        False when the positions are not known now: the caller must let callbacks run before it tries again, because
        the group may have given the partitions away.
        """
        # A rebalance that waits to be heard must be: giving partitions up would answer it. What comes is void.
        self._consumer.consume(1, 0)
        sources = self._ownership.sources
        try:
            partitions = [TopicPartition(*source) for source in sources]
            committed = self._consumer.committed(partitions, timeout=COMMITTED_TIMEOUT_S) if sources else []
            starts = [self._known_start(one) or self._start(one) for one in committed]
        except KafkaException as error:
            if not may_pass(error):
                raise Stop(f"cannot read committed offsets: {error.args[0].str()}") from error
            repeated.warning(WAITING, error)
            return False
        self._inbox.put(Rewound(self._ownership.assign(starts)))
        if starts:
            # What librdkafka has fetched ahead goes with the assignment; a seek fails on a partition in trouble.
            self._consumer.incremental_unassign([TopicPartition(*start.source) for start in starts])
            self._begin(starts)
            self._gatekeeper.pause_held()
        repeated.info("%s are read again from their committed positions", _listing(sources))
        return True

    def membership(self) -> object | None:
        """Return the group's view of this worker as of now, for a transaction; None when it is no member."""
        return self._consumer.consumer_group_metadata() if self._consumer.memberid() else None

    def commit_now(self, positions: Positions) -> None:
        """Commit positions of partitions still owned under the same epoch, and wait for the broker's answer."""
        offsets = self.committable(positions)
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._state.commits["refused"] += 1
            repeated.warning("commit refused, its records will be scored again: %s", error)
        else:
            self._state.commits["committed"] += 1

    def committable(self, positions: Positions) -> list[TopicPartition]:
        """Return positions as librdkafka takes them, without those of epochs that ended; none for a non-member."""
        # The member id is asked of librdkafka's own thread, which is too dear for nothing.
        if not positions or not self._consumer.memberid():
            return []
        return [
            TopicPartition(*source, position.offset)
            for source, position in positions.items()
            if self._ownership.holds(source, epoch=position.epoch)
        ]

    def _settle(self, sources: Sequence[Partition]) -> Mapping[Partition, Position]:
        answer = self._inbox.settle(sources, self.membership())
        if not self._calls.serve_until(answer, timeout_s=SETTLE_TIMEOUT_S):
            log.warning("gave up %s before it was delivered: it will be scored again", _listing(sources))
            return {}
        if answer.exception() is not None:
            return {}
        return answer.result()

    def _starts(self, partitions: list[TopicPartition]) -> list[Start]:
        """Return where each partition starts; asks again without limit, unless no broker is found: see `gave_up`."""
        for attempt in count(1):
            if self.closing or self._stopping():
                break
            self.waiting()
            try:
                committed = self._consumer.committed(partitions, timeout=START_ATTEMPT_S)
                return [self._start(one) for one in committed]
            except KafkaException as error:
                if not may_pass(error):
                    message = f"cannot read committed offsets: {error.args[0].str()}"
                    raise Stop(message) from error
                repeated.warning(WAITING, error)
                self._calls.serve_until(Future(), timeout_s=ASK_AGAIN_S)
                self.gave_up = attempt % ATTEMPTS == 0 and not self._finds_broker(partitions[0].topic)
                if self.gave_up:
                    break
        return []

    def _finds_broker(self, topic: str) -> bool:
        """Ask any broker about a topic: no statistics are heard in here, which would tell that none is known."""
        try:
            self._consumer.list_topics(topic, timeout=START_ATTEMPT_S)
        except KafkaException:
            return False
        return True

    def _known_start(self, committed: TopicPartition) -> Start | None:
        """Return where an owned partition started that has no committed position yet: `latest` is later by now."""
        if committed.error is not None or committed.offset >= 0:
            return None
        start = self._ownership.start_of(_source(committed))
        return None if start is None else Start(_source(committed), start, committed=False)

    def _start(self, committed: TopicPartition) -> Start:
        if committed.error is not None:
            raise KafkaException(committed.error)
        source = _source(committed)
        if committed.offset >= 0:
            return Start(source, committed.offset, committed=True)
        reset = self._reset(source.topic)
        if reset == "error":
            message = (
                f"{source} has no usable committed offset and kafka.auto_offset_reset is error: commit one, or set "
                "earliest or latest"
            )
            raise Stop(message)
        offset = OFFSET_BEGINNING if reset == "earliest" else self._watermarks(source)[1]
        return Start(source, offset, committed=False)

    def _watermarks(self, source: Partition) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(*source), timeout=COMMITTED_TIMEOUT_S)
        return int(low), int(high)


def is_joined(membership: object | None) -> bool:
    """Whether a membership is of a generation of the group; a member id alone comes before the group lets one in."""
    return membership is not None and not (isinstance(membership, bytes) and membership.startswith(NO_GENERATION))


def _source(partition: TopicPartition) -> Partition:
    return Partition(partition.topic, partition.partition)


def _listing(sources: Sequence[Partition]) -> str:
    names = sorted(str(source) for source in sources)
    shown = ", ".join(names[:8])
    return f"{len(names)} partitions: {shown}" + (", ..." if len(names) > 8 else "")  # noqa: PLR2004
