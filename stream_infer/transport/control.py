"""The control topic: a log that is read from its beginning by everybody and written by operators."""

import logging
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from stream_infer.errors import Retry, Stop
from stream_infer.rollout.fold import Entry
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config, reader_config
from stream_infer.transport.topics import FoundTopic, TopicAdmin, control_faults, require_topic

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 500
REQUEST_TIMEOUT_S: Final = 5.0


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
        self._where = TopicPartition(settings.topics.control, 0, OFFSET_BEGINNING)
        self._consumer = create_client(Consumer, reader_config(settings) | {"enable.partition.eof": True})
        self._consumer.assign([self._where])
        self.position = 0

    def read(self, timeout_s: float) -> list[Entry]:
        """Return what was appended since the last call, waiting at most `timeout_s` for the first of it."""
        messages = self._consumer.consume(1, timeout_s)
        if messages:
            messages += self._consumer.consume(MOST_AT_ONCE, 0)
        entries = []
        for message in messages:
            error = message.error()
            if error is None:
                _, stamp_ms = message.timestamp()
                entries.append(Entry(int(message.offset() or 0), message.key(), message.value(), stamp_ms))
            if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's spelling
                self.position = int(message.offset() or 0) + (error is None)
            elif error.fatal():
                raise Stop(f"Topic {self._where.topic} cannot be read: {error.str()}.")
            else:
                log.warning("topic %s: %s", self._where.topic, error.str())
        return entries

    def end_offset(self) -> int:
        """Return the offset of the next record to be appended; raises `Retry` while the brokers are away."""
        try:
            _, high = self._consumer.get_watermark_offsets(self._where, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise Retry(f"the end of {self._where.topic} is not known: {error.args[0].str()}") from error
        return int(high)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


class ControlWriter:
    """Appends to the control topic."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.control
        self._producer = create_client(Producer, producer_config(settings))

    def append(self, value: bytes, *, key: bytes) -> int:
        """Append one record and return its offset; raises `Stop` when it was not taken."""
        answers: list[int | KafkaError] = []
        self._producer.produce(
            self._topic,
            value,
            key,
            partition=0,
            on_delivery=lambda error, message: answers.append(error or int(message.offset() or 0)),
        )
        self._producer.flush()
        if not answers or isinstance(answers[0], KafkaError):
            raise Stop(f"Topic {self._topic} did not take the record: {answers[0] if answers else 'no answer'}.")
        return answers[0]
