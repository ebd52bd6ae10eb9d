"""The pump's thread: its start, its turns, its end."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import TopicPartition

from stream_infer.errors import Stop
from stream_infer.records import Partition
from stream_infer.transport.columns import Polled
from stream_infer.transport.link import Link
from stream_infer.transport.pump import Pump

log = logging.getLogger(__name__)

METADATA_TIMEOUT_S: Final = 30.0
JOIN_EXTRA_S: Final = 10.0


class PumpThread:
    """Runs a `Pump`, which alone touches the Consumer. Its methods are for other threads."""

    def __init__(
        self, link: Link, *, deliver: Callable[[Polled], None], failed: Callable[[BaseException], None]
    ) -> None:
        self._link = link
        self._deliver = deliver
        self._failed = failed
        self._stop = threading.Event()
        self._prepared = False
        self._subscribed = False
        self._pump: Pump | None = None
        self._thread = threading.Thread(target=self._run, name="stream-infer-consumer", daemon=True)

    def start(self) -> None:
        """Create the consumer and start the thread."""
        self._pump = Pump(self._link.feed, deliver=self._deliver, stopping=self._stop.is_set)
        self._thread.start()

    def prepare(self, topics: frozenset[str]) -> Mapping[str, int]:
        """Make ready what must be ready before the group is joined; return each topic's partition count.

        Raises `Stop` when the worker cannot serve.
        """
        if not self._prepared:
            self._link.before_subscribe(self._stop.is_set)
            self._prepared = True
        return {topic: count for topic in topics if (count := self.partition_count(topic))}

    def subscribe(self, topics: frozenset[str]) -> None:
        """Join the group for `topics`."""
        pump = self._running()
        pump.ask(lambda _: pump.subscribe(topics))
        self._subscribed = True
        log.info("joining the group for %s", ", ".join(sorted(topics)))

    def hold(self, topic: str, partition: int) -> None:
        """Stop reading one partition, soon."""
        self._running().hold(Partition(topic, partition))

    def release(self, topic: str, partition: int) -> None:
        """Read one partition again, soon."""
        self._running().release(Partition(topic, partition))

    def partition_count(self, topic: str) -> int | None:
        """Return how many partitions `topic` has; None when there is no such topic."""
        metadata = self._running().ask(lambda consumer: consumer.list_topics(topic, timeout=METADATA_TIMEOUT_S))
        return len(metadata.topics[topic].partitions) or None

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset held and the next one to be written."""
        where = TopicPartition(topic, partition)
        return self._running().ask(lambda consumer: consumer.get_watermark_offsets(where, METADATA_TIMEOUT_S))

    def stop(self) -> None:
        """Drain, commit, leave the group, and wait for the end of it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._link.shutdown_timeout_s + JOIN_EXTRA_S)
        if self._thread.is_alive():
            log.error("the consumer thread did not end: what it did not commit will be scored again")
            self._link.after_close(False)  # noqa: FBT003 - the callback's only argument

    def _running(self) -> Pump:
        if self._pump is None:
            message = "the consumer thread is not started"
            raise Stop(message)
        return self._pump

    def _run(self) -> None:
        pump = self._running()
        try:
            while not self._stop.is_set():
                pump.turn()
        except BaseException as error:  # noqa: BLE001 - the thread ends with it, whatever it is
            self._failed(error)
            self._end(pump, drain=False)
        else:
            self._end(pump, drain=self._subscribed)

    def _end(self, pump: Pump, *, drain: bool) -> None:
        clean = not drain or pump.drain(self._link.shutdown_timeout_s)
        if not clean:
            log.error("what was in hand could not be finished and committed: it will be scored again")
        pump.close()
        self._link.after_close(clean)
