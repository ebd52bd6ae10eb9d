"""The status topic: what every worker says of itself, keyed by worker, the newest word counting."""

import logging
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_infer.errors import Stop
from stream_infer.rollout.status import WorkerStatus, parse_status, status_key, to_json
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config, reader_config

log = logging.getLogger(__name__)

FLUSH_S: Final = 5.0
REQUEST_TIMEOUT_S: Final = 10.0
MOST_AT_ONCE: Final = 1000


class StatusWriter:
    """Writes a worker's states in their order, without waiting for the broker. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.status
        self._producer = create_client(Producer, producer_config(settings))

    def write(self, status: WorkerStatus) -> None:
        """Queue one state."""
        try:
            self._producer.produce(self._topic, to_json(status), status_key(status), on_delivery=_note)
        except BufferError:
            log.warning("a state was not reported: too many wait for the brokers")
        self._producer.poll(0)

    def close(self) -> None:
        """Wait a moment until everything is delivered."""
        self._producer.flush(FLUSH_S)


def _note(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        log.warning("a state was not reported: %s", error.str())


class StatusReader:
    """Reads what the workers of one application said of one model, from the beginning. Used by one thread."""

    def __init__(self, settings: Settings, *, model: str) -> None:
        self._topic = settings.topics.status
        self._application_id = settings.application_id
        self._model = model
        self._consumer = create_client(Consumer, reader_config(settings))
        self._waiting = {where.partition: self._end(where) for where in self._partitions()}
        self._consumer.assign([TopicPartition(self._topic, partition, 0) for partition in self._waiting])
        self.latest: dict[str, WorkerStatus] = {}

    def read_to_end(self) -> None:
        """Read everything that was there when this reader was made."""
        while any(end > 0 for end in self._waiting.values()):
            self.read(1.0)

    def read(self, timeout_s: float) -> list[WorkerStatus]:
        """Return what was said since the last call, waiting at most `timeout_s` for the first word."""
        messages = self._consumer.consume(1, timeout_s)
        if messages:
            messages += self._consumer.consume(MOST_AT_ONCE, 0)
        return [status for message in messages if (status := self._status(message)) is not None]

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _status(self, message: Message) -> WorkerStatus | None:
        error = message.error()
        if error is not None:
            if error.fatal() or not error.retriable():
                log.warning("topic %s: %s", self._topic, error.str())
            return None
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        if offset + 1 >= self._waiting[partition]:
            self._waiting[partition] = 0
        status = parse_status(message.key(), message.value())
        if status is None or (status.application_id, status.model) != (self._application_id, self._model):
            return None
        self.latest[status.worker] = status
        return status

    def _partitions(self) -> list[TopicPartition]:
        try:
            found = self._consumer.list_topics(self._topic, timeout=REQUEST_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise Stop(f"The brokers did not describe topic {self._topic}: {error.args[0].str()}.") from error
        return [TopicPartition(self._topic, partition) for partition in found.partitions]

    def _end(self, where: TopicPartition) -> int:
        """Return the offset behind the last record that is there now; 0 for an empty partition."""
        low, high = self._consumer.get_watermark_offsets(where, timeout=REQUEST_TIMEOUT_S)
        return int(high) if high > low else 0
