"""Where predictions and dead letters go: one librdkafka producer, used by the compute thread alone."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice, repeat
from operator import length_hint
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.errors import Stop, StreamInferError, Undone
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.transport.feed import Credentials
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers

WAIT_S: Final = 0.1
ANY_PARTITION: Final = -1
NOW: Final = 0


class Sink:
    """Produces whole batches.

    Delivery reports come for failures only, which saves a Python callback a record; that everything was delivered
    is therefore known after a flush that left nothing. `properties` must hold `delivery.report.only.error`.
    """

    def __init__(self, properties: Mapping[str, object], *, credentials: Credentials | None = None) -> None:
        self._credentials = credentials
        self._failure: KafkaError | None = None
        self._failed_topic: str | None = None
        self._properties = properties
        self._known = KnownBrokers()
        self._producer = self._create()

    def _create(self) -> Producer:
        return Producer({**STATISTICS, **self._properties, **self._hearing(), "on_delivery": self._on_failure})

    def _hearing(self) -> Mapping[str, object]:
        """Return properties by which a new producer tells its sink what happens."""
        return {"stats_cb": self._known.hear}

    def look(self) -> None:
        """Let the producer say what happened; see `OutputProducer.look`."""
        self._producer.poll(0)
        self._refuse_lost()

    def _refuse_lost(self) -> None:
        """Give a producer up that knows of no broker any more, with what it has queued, and say that in `Undone`."""
        if self._known.are_lost:
            self._replace()
            raise Undone("the producer knows of no broker any more, a new one takes over")

    def _replace(self) -> None:
        """Put another producer in this one's place."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._known = KnownBrokers()
        self._producer = self._create()
        if self._credentials is not None:
            self._credentials.give(self._producer)

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to librdkafka; see `OutputProducer.send`."""
        self._raise_failure()
        values = iter(outgoing.values)
        # From row to row in C, and by position, which costs half of what names cost.
        calls = map(self._producer.produce, repeat(outgoing.topic), values, outgoing.keys, *_placed(outgoing))
        unsent: list[Unsent] = []
        while length_hint(values):
            try:
                deque(calls, maxlen=0)
            except (BufferError, KafkaException) as error:
                # The calls go on behind the row that failed.
                unsent += self._send_slowly(outgoing, len(outgoing) - length_hint(values) - 1, error)
        self._producer.poll(0)
        return unsent

    def flush(self) -> None:
        """Wait until everything sent is delivered; see `OutputProducer.flush`. Changed secrets are read before."""
        if self._credentials is not None:
            self._credentials.refresh(self._producer)
        while self._producer.flush(WAIT_S):
            self._raise_failure()
            self._refuse_lost()
        self._raise_failure()

    def _send_slowly(self, outgoing: Outgoing, row: int, error: BufferError | KafkaException) -> list[Unsent]:
        """Send one row, waiting out a full buffer, which is back-pressure; sort what else `produce` refuses."""
        refusal: BufferError | KafkaException | None = error
        while isinstance(refusal, BufferError):
            self._producer.poll(WAIT_S)
            self._raise_failure()
            self._refuse_lost()
            refusal = self._try_one(outgoing, row)
        if refusal is None:
            return []
        cause = refusal.args[0]
        if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            size = len(outgoing.values[row] or b"")
            return [Unsent(row, f"{size} bytes for {outgoing.topic} are more than message.max.bytes allows")]
        raise self._refusal(outgoing.topic, cause) from refusal

    def _refusal(self, topic: str, cause: KafkaError) -> StreamInferError:
        """Return what to raise for a record that librdkafka does not take."""
        return Stop(f"cannot write to {topic}: {cause.str()}")

    def _try_one(self, outgoing: Outgoing, row: int) -> BufferError | KafkaException | None:
        try:
            placed = (next(islice(column, row, None)) for column in _placed(outgoing))
            self._producer.produce(outgoing.topic, outgoing.values[row], outgoing.keys[row], *placed)
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


def _placed(outgoing: Outgoing) -> tuple[Iterable[Any], ...]:
    """Return what `produce` takes behind topic, value and key: partition, two callbacks, timestamp, headers."""
    partitions = outgoing.partitions or repeat(ANY_PARTITION)
    stamps = np.maximum(outgoing.timestamps_ms, NOW).tolist()
    columns = partitions, repeat(None), repeat(None), stamps
    return columns if outgoing.headers is None else (*columns, [list(each or ()) for each in outgoing.headers])
