"""Where predictions and dead letters go: one librdkafka producer, used by the compute thread alone."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.errors import Stop
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.transport.feed import Credentials

log = logging.getLogger(__name__)

WAIT_S: Final = 0.1
METADATA_TIMEOUT_S: Final = 30.0


class Sink:
    """Produces whole batches.

    Delivery reports come for failures only, which saves a Python callback a record; that everything was delivered
    is therefore known after a flush that left nothing. `properties` must hold `delivery.report.only.error`.
    """

    def __init__(self, properties: Mapping[str, object], *, credentials: Credentials | None = None) -> None:
        self._credentials = credentials
        self._failure: KafkaError | None = None
        self._failed_topic: str | None = None
        self._producer = Producer({**properties, "on_delivery": self._on_failure})
        self._counts: dict[str, int] = {}

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to librdkafka; see `OutputProducer.send`."""
        self._raise_failure()
        partitions = outgoing.partitions or [-1] * len(outgoing)
        headers = outgoing.headers
        produce, topic = self._producer.produce, outgoing.topic
        unsent: list[Unsent] = []
        columns = zip(outgoing.values, outgoing.keys, partitions, outgoing.timestamps_ms, strict=True)
        for row, (value, key, partition, stamp) in enumerate(columns):
            try:
                if headers is None:
                    produce(topic, value, key, partition, None, None, max(stamp, 0))
                else:
                    produce(topic, value, key, partition, None, None, max(stamp, 0), list(headers[row] or ()))
            except (BufferError, KafkaException) as error:
                rest = headers[row : row + 1] if headers else None
                again = Outgoing(topic, [key], [value], [stamp], [partition], rest)
                unsent += [Unsent(row, one.message) for one in self._send_slowly(again, error)]
        self._producer.poll(0)
        return unsent

    def flush(self) -> None:
        """Wait until everything sent is delivered; see `OutputProducer.flush`. Changed secrets are read before."""
        if self._credentials is not None:
            self._credentials.refresh(self._producer)
        while self._producer.flush(WAIT_S):
            self._raise_failure()
        self._raise_failure()

    def partition_count(self, topic: str) -> int:
        """Return how many partitions `topic` has; asked of the broker once."""
        if topic not in self._counts:
            metadata = self._producer.list_topics(topic, timeout=METADATA_TIMEOUT_S)
            self._counts[topic] = len(metadata.topics[topic].partitions)
        return self._counts[topic]

    def _send_slowly(self, outgoing: Outgoing, error: BufferError | KafkaException) -> list[Unsent]:
        """Send one row, waiting out a full buffer, which is back-pressure; sort what else `produce` refuses."""
        refusal: BufferError | KafkaException | None = error
        while isinstance(refusal, BufferError):
            self._producer.poll(WAIT_S)
            self._raise_failure()
            refusal = self._try_one(outgoing)
        if refusal is None:
            return []
        cause = refusal.args[0]
        if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            size = len(outgoing.values[0] or b"")
            return [Unsent(0, f"{size} bytes for {outgoing.topic} are more than message.max.bytes allows")]
        message = f"cannot write to {outgoing.topic}: {cause.str()}"
        raise Stop(message) from refusal

    def _try_one(self, outgoing: Outgoing) -> BufferError | KafkaException | None:
        partition = outgoing.partitions[0] if outgoing.partitions else -1
        headers: list[Any] = list((outgoing.headers[0] if outgoing.headers else None) or ())
        try:
            self._producer.produce(
                outgoing.topic,
                outgoing.values[0],
                outgoing.keys[0],
                partition,
                None,
                None,
                max(outgoing.timestamps_ms[0], 0),
                headers,
            )
        except (BufferError, KafkaException) as refusal:
            return refusal
        return None

    def _on_failure(self, error: KafkaError, message: Message) -> None:
        if self._failure is None:
            self._failure, self._failed_topic = error, message.topic()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            message = f"cannot write to {self._failed_topic}: {self._failure.str()}; nothing behind it was committed"
            raise Stop(message)
