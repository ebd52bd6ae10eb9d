"""The status topic: what every worker says of itself, keyed by worker, the newest word counting."""

import logging
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.logs import Repeated
from stream_infer.rollout.status import WorkerStatus, parse_status, status_key, to_json
from stream_infer.settings import Settings
from stream_infer.transport.clients import SaslFiles, create_client, producer_config
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers
from stream_infer.transport.tail import Tail

repeated = Repeated(logging.getLogger(__name__))

FLUSH_S: Final = 5.0
READ_S: Final = 1.0


class StatusWriter:
    """Writes a worker's states in their order, without waiting for the broker. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.status
        self._config = {**STATISTICS, **producer_config(settings)}
        self._credentials = SaslFiles(settings)
        self._known = KnownBrokers()
        self._producer = self._create()
        self._last: WorkerStatus | None = None

    def _create(self) -> Producer:
        return create_client(Producer, {**self._config, "stats_cb": self._known.hear})

    def look(self) -> None:
        """Let the producer say what happened to it; to be called every few seconds.

        One that knows of no broker any more is replaced, and the last state is written once more.
        """
        self._producer.poll(0)
        if self._known.are_lost:
            repeated.warning("states are reported by a new producer: the old one knows of no broker any more")
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._known = KnownBrokers()
            self._producer = self._create()
            self._credentials.give(self._producer)
            if self._last is not None:
                self.write(self._last)

    def write(self, status: WorkerStatus) -> None:
        """Queue one state; one that cannot be queued is logged: the next one says everything again."""
        self._last = status
        self._credentials.refresh(self._producer)
        try:
            self._producer.produce(self._topic, to_json(status), status_key(status), on_delivery=_note)
        except (BufferError, KafkaException) as error:
            repeated.warning("a state was not reported: %s", error)
        self._producer.poll(0)

    def close(self) -> None:
        """Wait a moment until everything is delivered."""
        self._producer.flush(FLUSH_S)


def _note(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        repeated.warning("a state was not reported: %s", error.str())


class StatusReader:
    """Reads what the workers of one application said of one model, from the beginning. Used by one thread."""

    def __init__(self, settings: Settings, *, model: str) -> None:
        self._tail = Tail(settings, settings.topics.status)
        self._application_id = settings.application_id
        self._model = model
        self.latest: dict[str, WorkerStatus] = {}

    def read_to_end(self) -> None:
        """Read everything that is there now; raises `Retry` while the brokers are away, and `Stop`."""
        ends = self._tail.ends()
        while not self._tail.has_read(ends):
            self.read(READ_S)

    def read(self, timeout_s: float) -> list[WorkerStatus]:
        """Return what was said since the last call, waiting at most `timeout_s` for the first word."""
        said = [parse_status(message.key(), message.value()) for message in self._tail.read(timeout_s)]
        ours = [one for one in said if one is not None and self._is_ours(one)]
        self.latest.update({one.worker: one for one in ours})
        return ours

    def close(self) -> None:
        """Close the connection."""
        self._tail.close()

    def _is_ours(self, status: WorkerStatus) -> bool:
        return (status.application_id, status.model) == (self._application_id, self._model)
