"""Faust's producer over librdkafka: for what users' own agents send. Predictions go through `sink.py`."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as KafkaProducer
from faust.transport import base
from faust.types import TP, RecordMetadata
from mode import Service
from mode.utils.locks import Event

from stream_infer.logs import Repeated
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers
from stream_infer.transport.link import link_of

repeated = Repeated(logging.getLogger(__name__))

POLL_S: Final = 0.05
FLUSH_S: Final = 30.0


class Producer(base.Producer):
    """Sends with delivery reports, each of which resolves the future that `send` returned."""

    _client: KafkaProducer | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_use = Event()
        self._known = KnownBrokers()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Queue one record and return the future of its position; `timestamp` is in seconds."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[RecordMetadata] = loop.create_future()
        self._ensure_client().produce(
            topic,
            value,
            key,
            -1 if partition is None else partition,
            on_delivery=partial(_report, loop, sent),
            timestamp=int(timestamp * 1000) if timestamp else 0,
            headers=_headers(headers),
        )
        return sent

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Send one record and wait until it is delivered."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until everything sent is delivered."""
        await self.buffer.flush()
        if self._client is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._client.flush, FLUSH_S)

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Do nothing: topics are made by `stream-infer topics create` or by their owners."""

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Refuse: librdkafka's partitioner decides when a record is sent."""
        raise NotImplementedError(_PARTITIONER)

    def supports_headers(self) -> bool:
        """Return True."""
        return True

    async def on_stop(self) -> None:
        """Deliver what is left."""
        await super().on_stop()
        await self.flush()

    @Service.task
    async def _serve_reports(self) -> None:
        """Run delivery callbacks while anything is on its way."""
        loop = asyncio.get_running_loop()
        await self.wait(self._in_use)
        while not self.should_stop:
            client = self._ensure_client()
            if len(client):
                await loop.run_in_executor(None, client.poll, POLL_S)
            else:
                client.poll(0)
                await self.sleep(POLL_S)
            if self._known.are_lost:
                self._give_up(client)

    def _ensure_client(self) -> KafkaProducer:
        if self._client is None:
            self._known = KnownBrokers()
            properties = {**STATISTICS, **link_of(self.app).producer_properties, "stats_cb": self._known.hear}
            self._client = KafkaProducer(properties)
            self._in_use.set()
        return self._client

    def _give_up(self, client: KafkaProducer) -> None:
        """Fail what a producer has queued that knows of no broker any more; what is sent next goes to another one."""
        repeated.warning("an agent's records go to a new producer: the old one knows of no broker any more")
        self._client = None
        client.purge(in_queue=True, in_flight=True)
        client.poll(0)


def _headers(headers: Any) -> list[Any]:
    pairs: Sequence[tuple[str, bytes]] = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
    return [(name, value) for name, value in pairs]


def _report(
    loop: asyncio.AbstractEventLoop, sent: "asyncio.Future[RecordMetadata]", error: KafkaError | None, message: Message
) -> None:
    """Resolve the future of one record. Runs on whichever thread polls."""
    loop.call_soon_threadsafe(_resolve, sent, error, _metadata(message))


def _resolve(sent: "asyncio.Future[RecordMetadata]", error: KafkaError | None, metadata: RecordMetadata) -> None:
    if sent.done():
        return
    if error is not None:
        sent.set_exception(KafkaException(error))
    else:
        sent.set_result(metadata)


def _metadata(message: Message) -> RecordMetadata:
    topic, partition = str(message.topic()), int(message.partition() or 0)
    kind, stamp_ms = message.timestamp()
    return RecordMetadata(topic, partition, TP(topic, partition), int(message.offset() or 0), stamp_ms / 1000.0, kind)


_PARTITIONER = "the partition of a key is decided by librdkafka when the record is sent"
