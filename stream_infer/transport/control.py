"""The control topic: a log that is read from its beginning by everybody and written by operators."""

import logging
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_infer.errors import Stop
from stream_infer.rollout.fold import Entry
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config
from stream_infer.transport.tail import Tail
from stream_infer.transport.topics import FoundTopic, TopicAdmin, control_faults, require_topic

log = logging.getLogger(__name__)

PARTITION: Final = 0
DELIVERY_TIMEOUT_S: Final = 30


def check_control_topic(admin: TopicAdmin, settings: Settings) -> None:
    """Raise `Stop`, saying what to do, unless control and status topic are there and the first keeps every record."""
    topics = settings.topics
    for name in (topics.control, topics.status):
        require_topic(admin, name, settings)
    found = FoundTopic(topics.control, admin.find()[topics.control], admin.describe(topics.control))
    if found.config is None:
        log.warning("the brokers do not tell whether topic %s keeps every record", found.name)
    faults = list(control_faults(found))
    if faults:
        raise Stop(f"{' '.join(faults)} Set it so, or make another one and name it in topics.control.")


class ControlReader:
    """Reads the control topic from its beginning, without a group. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._tail = Tail(settings, settings.topics.control, partitions=(PARTITION,))

    @property
    def position(self) -> int:
        """The offset up to which the log is read."""
        return self._tail.positions[PARTITION]

    def read(self, timeout_s: float) -> list[Entry]:
        """Return what was appended since the last call, waiting at most `timeout_s` for the first of it.

        Raises `Stop` when this user may not read it, or when it was made anew; an outage is waited out.
        """
        return [
            Entry(int(message.offset() or 0), message.key(), message.value(), message.timestamp()[1])
            for message in self._tail.read(timeout_s)
        ]

    def end_offset(self) -> int:
        """Return the next record's offset; raises `Retry` while the brokers are away, and `Stop`."""
        return self._tail.ends()[PARTITION]

    def close(self) -> None:
        """Close the connection."""
        self._tail.close()


class ControlWriter:
    """Appends to the control topic."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.control
        # A person waits for it: unlike a prediction it may be given up and said again.
        limit = {"message.timeout.ms": DELIVERY_TIMEOUT_S * 1000}
        self._producer = create_client(Producer, producer_config(settings) | limit)

    def append(self, value: bytes, *, key: bytes) -> int:
        """Append one record and return its offset; raises `Stop` when all replicas did not take it within 30 s."""
        answers: list[int | KafkaError] = []
        try:
            self._producer.produce(
                self._topic,
                value,
                key,
                partition=PARTITION,
                on_delivery=lambda error, message: answers.append(error or int(message.offset() or 0)),
            )
        except (KafkaException, BufferError) as error:
            raise Stop(f"Topic {self._topic} did not take the record: {error}.") from error
        self._producer.flush()
        (answer,) = answers
        if isinstance(answer, KafkaError):
            sentence = f"Topic {self._topic} did not take the record: {answer.str()}."
            raise Stop(f"{sentence} `stream-infer rollout history` shows whether it got there after all.")
        return answer
