"""The Faust side of consumption: one Faust event a poll for the input topics, ordinary events for users' topics.

Faust keeps the agents, their supervision and the life cycle. Positions are not its business here: every method by
which it would track, seek, pause or commit does nothing, because going through them lost and duplicated records
under cooperative rebalancing. `tests/transport/test_faust_contract.py` pins the names overridden.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from confluent_kafka import Message as KafkaMessage
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage, Message
from mode import Service

from stream_infer.errors import Stop
from stream_infer.pipeline.inbox import Acknowledged, Arrived, Handed
from stream_infer.records import Partition, Run
from stream_infer.transport.acks import AckIndex, AckLists, NoCommittedOffsets
from stream_infer.transport.columns import Polled, headers_of, select_runs
from stream_infer.transport.link import link_of
from stream_infer.transport.thread import PumpThread


class Consumer(FaustConsumer):
    """A Faust consumer whose records come from the pump thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._link = link_of(self.app)
        self._scored = frozenset({*self._link.input_topics, self._link.retry_topic})
        self._arrivals: asyncio.Queue[list[Message]] = asyncio.Queue()
        self._sequence = itertools.count()
        self._acked = AckLists(self._acknowledged)
        self._acked_index = AckIndex()
        self._committed_offset = NoCommittedOffsets()
        self._main_loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Future[Any] | None = None
        self._thread = PumpThread(self._link, deliver=self._deliver, failed=self._fail)

    async def on_start(self) -> None:
        """Start the pump thread; it joins no group before `subscribe`."""
        self._main_loop = asyncio.get_running_loop()
        self.app.consumer_generation_id = 1
        await self._main_loop.run_in_executor(None, self._thread.start)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Make ready, join the group, and let Faust's flow begin once this returned, which the flow waits for."""
        loop = asyncio.get_running_loop()
        if self.app.tables:
            raise Stop(_TABLES)
        names = frozenset(topics)
        try:
            counts = await loop.run_in_executor(None, self._thread.prepare, names)
            await loop.run_in_executor(None, self._thread.subscribe, names | {self._link.retry_topic})
        except Stop:
            if self.should_stop:
                return
            raise
        every_partition = {TP(topic, n) for topic, count in counts.items() for n in range(count)}
        self._opening = self.add_future(self._open_flow(every_partition))

    async def _open_flow(self, every_partition: set[TP]) -> None:
        """Let Faust build its routes once, for all partitions: which of them are ours never concerns it."""
        self.app.on_rebalance_start()
        # Faust's own type for this callback forgets its second argument.
        await cast("Any", self._on_partitions_assigned)(every_partition, 1)
        self.app.on_rebalance_return()

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self.should_stop or fetcher.should_stop):
            for message in await self._arrivals.get():
                message.generation_id = self.app.consumer_generation_id
                await self.callback(message)
            self._link.feed.credit.give_poll()

    async def on_stop(self) -> None:
        """Finish what is in hand, commit it, leave the group."""
        if self._main_loop is not None:
            await self._main_loop.run_in_executor(None, self._thread.stop)

    def _deliver(self, polled: Polled) -> None:
        """Pass one poll to the event loop. Runs on the pump thread."""
        scored = self._scored
        others = [run for run in polled.records.runs if run.source.topic not in scored]
        messages = [self._ordinary(one) for run in others for one in self._handed(run, polled)]
        batch = polled
        if others:
            batch = select_runs(polled, [run for run in polled.records.runs if run.source.topic in scored])
        if batch.messages:
            messages.append(self._as_event(batch))
        self._link.feed.credit.take_poll(scored=bool(batch.messages))
        self._call_soon(self._arrivals.put_nowait, messages)

    def _as_event(self, batch: Polled) -> ConsumerMessage:
        credit = self._link.feed.credit
        credit.take(len(batch.records), size_bytes=batch.records.size_bytes)
        arrived = Arrived(next(self._sequence), batch.records)
        # Faust routes by topic, and does not know the retry topic, which may come to be while the worker runs.
        return _message(TP(self._link.input_topics[0], 0), offset=int(batch.records.offsets[0]), value=arrived)

    def _handed(self, run: Run, polled: Polled) -> list[KafkaMessage]:
        offsets = polled.records.offsets[run.start : run.stop].tolist()
        self._link.feed.inbox.put(Handed(run.source, run.epoch, offsets))
        return list(polled.messages[run.start : run.stop])

    def _ordinary(self, message: KafkaMessage) -> ConsumerMessage:
        tp = TP(str(message.topic()), int(message.partition() or 0))
        kind, stamp_ms = message.timestamp()
        return _message(
            tp,
            offset=int(message.offset() or 0),
            value=message.value(),
            key=message.key(),
            headers=dict(headers_of(message) or []),
            timestamp_s=stamp_ms / 1000.0,
            timestamp_type=kind,
        )

    def _fail(self, error: BaseException) -> None:
        """Stop the app: the pump thread cannot go on. Runs on the pump thread."""
        self._link.failed(error)
        self._call_soon(lambda: self.add_future(self.app.crash(error)))

    def _call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function on the event loop; from the pump thread."""
        if self._main_loop is not None:
            self._main_loop.call_soon_threadsafe(function, *args)

    def _acknowledged(self, tp: TP, offset: int) -> None:
        self._link.feed.inbox.put(Acknowledged(Partition(tp.topic, tp.partition), offset))

    def ack(self, message: Message) -> bool:
        """Pass a user's acknowledgement to the ledger of positions."""
        if message.acked:
            return False
        message.acked = True
        self._acknowledged(message.tp, message.offset)
        return True

    def assignment(self) -> set[TP]:
        """Return nothing: Faust would pause, seek and commit what it believes to own."""
        return set()

    def on_buffer_full(self, tp: TP) -> None:
        """Stop reading a user's partition whose agent is behind; the input has limits of its own."""
        if tp.topic not in self._scored:
            self._thread.hold(tp.topic, tp.partition)

    def on_buffer_drop(self, tp: TP) -> None:
        """Read it again."""
        if tp.topic not in self._scored:
            self._thread.release(tp.topic, tp.partition)

    def track_message(self, message: Message) -> None:
        """Do nothing: the ledger knows every record."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Do nothing: positions are committed after delivery, by the compute side."""
        return False

    async def wait_empty(self) -> None:
        """Do nothing: `on_stop` drains."""

    async def perform_seek(self) -> None:
        """Do nothing: partitions start where the rebalance callbacks put them."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: progress is watched by the worker's own health check."""

    @Service.task
    async def _commit_handler(self) -> None:
        """Replace Faust's commit timer."""

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        """Replace Faust's watch over acknowledgements."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: gaps in offsets are the ledger's business."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Return nothing: there is nothing to seek."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        raise NotImplementedError(_POSITIONS)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Refuse: an agent must not move positions of the group."""
        raise NotImplementedError(_POSITIONS)

    async def position(self, tp: TP) -> int | None:
        """Refuse, as `seek_wait`."""
        raise NotImplementedError(_POSITIONS)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        raise NotImplementedError(_POSITIONS)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return self._ordinary(record)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the first offset that each partition still holds."""
        return await self._watermarks(partitions, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the offset that the next record of each partition will get."""
        return await self._watermarks(partitions, 1)

    async def _watermarks(self, partitions: Iterable[TP], which: int) -> Mapping[TP, int]:
        loop = asyncio.get_running_loop()
        return {tp: (await loop.run_in_executor(None, self._thread.watermarks, *tp))[which] for tp in partitions}

    def highwater(self, tp: TP) -> int:
        """Return 0: Faust's monitor asks this once a message; `stream_infer_consumer_lag_records` has the truth."""
        return 0

    def topic_partitions(self, topic: str) -> int | None:
        """Return how many partitions `topic` has."""
        return self._thread.partition_count(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Return `partition`: the producer's partitioner decides."""
        return partition

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Do nothing: topics are made by `stream-infer topics create` or by their owners."""


def _message(tp: TP, *, offset: int, value: Any, **fields: Any) -> ConsumerMessage:
    return ConsumerMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=offset,
        timestamp=fields.get("timestamp_s", 0.0),
        timestamp_type=fields.get("timestamp_type", 0),
        headers=fields.get("headers", {}),
        key=fields.get("key"),
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=tp,
    )


_POSITIONS = "positions belong to the worker under rdkafka://: an agent cannot seek or read them"
_TABLES = "this app has Faust tables, which the rdkafka:// transport does not serve: keep them in an app of their own"
