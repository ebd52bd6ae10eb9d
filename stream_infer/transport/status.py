"""The status topic: what every worker says of itself, keyed by worker, the newest word counting."""

import logging
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from stream_infer.rollout.status import WorkerStatus, status_key, to_json
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config

log = logging.getLogger(__name__)

FLUSH_S: Final = 5.0


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
