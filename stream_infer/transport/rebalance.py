"""What happens when partitions come and go: the callbacks that librdkafka runs inside `consume()`.

Rules: rewind only to offsets that the broker holds as committed; at a revoke deliver and commit first, give up after;
at a loss commit nothing. All of it runs on the consumer thread.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from stream_infer.errors import Stop
from stream_infer.pipeline.inbox import Begin, Forget, Inbox
from stream_infer.records import Partition, Position, Positions
from stream_infer.transport.calls import Calls
from stream_infer.transport.ownership import Ownership

log = logging.getLogger(__name__)

COMMITTED_TIMEOUT_S: Final = 10.0
SETTLE_TIMEOUT_S: Final = 45.0


class Rebalancer:
    """Assigns, settles and gives up partitions; `reset` is the setting `kafka.auto_offset_reset`."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        ownership: Ownership,
        inbox: Inbox,
        calls: Calls,
        reset: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._consumer = consumer
        self._ownership = ownership
        self._inbox = inbox
        self._calls = calls
        self._reset = reset
        self._stopping = stopping
        self.closing = False
        self.failure: Stop | None = None

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Start new partitions at their committed offsets."""
        try:
            starts = self._starts(partitions)
        except Stop as failure:
            self.failure = failure
            starts = {}
        assigned = self._ownership.assign(_known(starts))
        self._inbox.put(Begin(assigned))
        consumer.incremental_assign([TopicPartition(*source, offset) for source, offset in starts.items()])
        log.info("assigned %s", _listing(starts))

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Deliver and commit what was scored of the partitions, then give them up."""
        sources = [_source(partition) for partition in partitions]
        if not self.closing:
            self.commit_now(self._settle(sources))
        self._ownership.revoke(sources)
        consumer.incremental_unassign(partitions)
        log.info("revoked %s", _listing(sources))

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give up partitions that already belong to somebody else: nothing of them is committed."""
        sources = [_source(partition) for partition in partitions]
        self._ownership.revoke(sources)
        self._inbox.put(Forget(sources))
        consumer.incremental_unassign(partitions)
        log.warning("lost %s: what was not committed will be scored again", _listing(sources))

    def restart(self, source: Partition) -> None:
        """Read a partition anew after its position was lost to retention, by the reset policy."""
        start = self._reset_start(source)
        low, high = self._watermarks(source)
        log.error(
            "%s: the position was lost to retention; reading goes on at %s (the topic holds %d to %d)",
            source, self._reset, low, high - 1,
        )  # fmt: skip
        begun = self._ownership.assign(_known({source: start}))
        self._inbox.put(Begin(begun))
        self._consumer.seek(TopicPartition(*source, start))

    def commit_now(self, positions: Positions) -> None:
        """Commit positions of partitions still owned under the same epoch, and wait for the broker's answer."""
        offsets = self.committable(positions)
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("commit refused, its records will be scored again: %s", error)

    def committable(self, positions: Positions) -> list[TopicPartition]:
        """Return positions as librdkafka takes them, without those of epochs that ended."""
        return [
            TopicPartition(*source, position.offset)
            for source, position in positions.items()
            if self._ownership.holds(source, epoch=position.epoch)
        ]

    def _settle(self, sources: Sequence[Partition]) -> Mapping[Partition, Position]:
        answer = self._inbox.settle(sources)
        if not self._calls.serve_until(answer, timeout_s=SETTLE_TIMEOUT_S):
            log.warning("gave up %s before it was delivered: it will be scored again", _listing(sources))
            return {}
        if answer.exception() is not None:
            return {}
        return answer.result()

    def _starts(self, partitions: list[TopicPartition]) -> dict[Partition, int]:
        """Return the committed offset of each partition; asks again without limit while the coordinator is away."""
        while not (self.closing or self._stopping()):
            try:
                committed = self._consumer.committed(partitions, timeout=COMMITTED_TIMEOUT_S)
            except KafkaException as error:
                if not _is_retriable(error):
                    message = f"cannot read committed offsets: {error.args[0].str()}"
                    raise Stop(message) from error
                log.warning("waiting for committed offsets: %s", error)
                self._calls.serve()
                continue
            return {_source(one): self._start(one) for one in committed}
        return {}

    def _start(self, committed: TopicPartition) -> int:
        return committed.offset if committed.offset >= 0 else self._reset_start(_source(committed))

    def _reset_start(self, source: Partition) -> int:
        if self._reset == "error":
            message = (
                f"{source} has no usable committed offset and kafka.auto_offset_reset is error: commit one, or set "
                "earliest or latest"
            )
            raise Stop(message)
        if self._reset == "earliest":
            return OFFSET_BEGINNING
        return self._watermarks(source)[1]

    def _watermarks(self, source: Partition) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(*source), timeout=COMMITTED_TIMEOUT_S)
        return int(low), int(high)


def _known(starts: Mapping[Partition, int]) -> dict[Partition, int | None]:
    return {source: offset if offset >= 0 else None for source, offset in starts.items()}


def _is_retriable(error: KafkaException) -> bool:
    cause = error.args[0]
    return not cause.fatal() and (bool(cause.retriable()) or cause.code() < 0)


def _source(partition: TopicPartition) -> Partition:
    return Partition(partition.topic, partition.partition)


def _listing(sources: Sequence[Partition] | Mapping[Partition, int]) -> str:
    names = sorted(str(source) for source in sources)
    shown = ", ".join(names[:8])
    return f"{len(names)} partitions: {shown}" + (", ..." if len(names) > 8 else "")  # noqa: PLR2004
