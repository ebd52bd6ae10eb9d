"""Where predictions and dead letters go: one librdkafka producer, which one thread uses at a time."""

from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from stream_infer.errors import Stop, StreamInferError, Undone
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.transport.feed import Credentials
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers
from stream_infer.transport.rows import RowProducer, make_row_producer, send_one

WAIT_S: Final = 0.1


class Sink:
    """Produces whole batches.

    Delivery reports come for failures only, which saves a Python callback a record; that everything was delivered
    is therefore known after a flush that left nothing. `properties` must hold `delivery.report.only.error`.
    """

    def __init__(
        self,
        properties: Mapping[str, object],
        *,
        credentials: Credentials | None = None,
        make: Callable[[Mapping[str, object]], RowProducer] = make_row_producer,
    ) -> None:
        self._credentials = credentials
        self._properties = properties
        self._make = make
        self._create()

    def _create(self) -> None:
        self._known = KnownBrokers()
        self._rows = self._make({**STATISTICS, **self._properties, **self._hearing()})
        self._producer = self._rows.client

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
        self._create()
        if self._credentials is not None:
            self._credentials.give(self._producer)

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to librdkafka; see `OutputProducer.send`."""
        self._raise_failure()
        unsent: list[Unsent] = []
        self._rows.send(outgoing, refused=lambda row: unsent.extend(self._send_slowly(outgoing, row)))
        return unsent

    def flush(self) -> None:
        """Wait until everything sent is delivered; see `OutputProducer.flush`. Changed secrets are read before."""
        if self._credentials is not None:
            self._credentials.refresh(self._producer)
        while self._producer.flush(WAIT_S):
            self._raise_failure()
            self._refuse_lost()
        self._raise_failure()

    def _send_slowly(self, outgoing: Outgoing, row: int) -> list[Unsent]:
        """Send one row, waiting out a full buffer, which is back-pressure; sort what else `produce` refuses."""
        refusal = self._try_one(outgoing, row)
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
            send_one(self._producer, outgoing, row)
        except (BufferError, KafkaException) as refusal:
            return refusal
        return None

    def _raise_failure(self) -> None:
        failure = self._rows.failure()
        if failure is not None:
            error, topic = failure
            raise Stop(f"cannot write to {topic}: {error.str()}; nothing behind it was committed")
