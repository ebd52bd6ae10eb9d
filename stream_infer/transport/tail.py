"""A whole topic, read from its beginning and then on, without a group."""

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_infer.errors import Retry, Stop
from stream_infer.logs import Repeated
from stream_infer.settings import Settings
from stream_infer.transport.bounded import unattended
from stream_infer.transport.clients import SaslFiles, create_client, reader_config
from stream_infer.transport.known_brokers import STATISTICS, KnownBrokers
from stream_infer.transport.lasting_errors import FORBIDDEN

repeated = Repeated(logging.getLogger(__name__))

MOST_AT_ONCE: Final = 1000
REQUEST_TIMEOUT_S: Final = 5.0
FIRST_LOOK_S: Final = 30.0
END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's local codes are spelt so
LOST: Final = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - as above


class Tail:
    """Reads partitions of one topic from their beginnings. Used by one thread.

    `positions` are the offsets up to which each partition is read; they move also over what holds no record, such as
    the marks of transactions. Errors that pass are logged and waited out.
    """

    def __init__(self, settings: Settings, topic: str, *, partitions: tuple[int, ...] | None = None) -> None:
        self._topic = topic
        self._config = {**STATISTICS, **reader_config(settings), "enable.partition.eof": True}
        self._known = KnownBrokers()
        self._consumer = self._create()
        self._credentials = SaslFiles(settings)
        taken = self._find_partitions() if partitions is None else partitions
        self.positions = dict.fromkeys(taken, 0)
        self._assign()

    def read(self, timeout_s: float) -> list[Message]:
        """Return the records since the last call, waiting at most `timeout_s` for the first of them.

        Raises `Stop` when this user may not read, or when records that were not read yet are lost.
        """
        self._credentials.refresh(self._consumer)
        if self._known.are_lost:
            self._begin_anew()
        messages = self._consumer.consume(1, timeout_s)
        if messages:
            messages += self._consumer.consume(MOST_AT_ONCE, 0)
        return [message for message in messages if self._is_record(message)]

    def ends(self) -> Mapping[int, int]:
        """Return each partition's next offset to be written; raises `Retry` while the brokers are away, and `Stop`."""
        return {partition: self._end(partition) for partition in self.positions}

    def has_read(self, ends: Mapping[int, int]) -> bool:
        """Say whether every partition is read up to its offset in `ends`."""
        return all(self.positions[partition] >= end for partition, end in ends.items())

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _create(self) -> Consumer:
        return create_client(Consumer, {**self._config, "stats_cb": self._known.hear})

    def _assign(self) -> None:
        places = [(partition, position or OFFSET_BEGINNING) for partition, position in self.positions.items()]
        self._consumer.assign([TopicPartition(self._topic, *place) for place in places])

    def _begin_anew(self) -> None:
        """Go on with another client where this one was."""
        repeated.warning("topic %s is read by a new client: the old one knows of no broker any more", self._topic)
        unattended(self._consumer.close)
        self._known = KnownBrokers()
        self._consumer = self._create()
        self._credentials.give(self._consumer)
        self._assign()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is not None and error.code() != END:
            self._note(error)
            return False
        self.positions[int(message.partition() or 0)] = int(message.offset() or 0) + (error is None)
        return error is None

    def _note(self, error: KafkaError) -> None:
        if error.code() == LOST:
            raise Stop(
                f"Topic {self._topic} lost records before they were read, or was made anew: start again, so that it is "
                f"read from its beginning ({error.str()})."
            )
        if error.fatal() or error.code() in FORBIDDEN:
            raise Stop(f"Topic {self._topic} cannot be read: {error.str()}.")
        each = (self._topic, error.code())
        repeated.warning("topic %s cannot be read for now: %s", self._topic, error.str(), each=each)

    def _end(self, partition: int) -> int:
        where = TopicPartition(self._topic, partition)
        try:
            _, high = self._consumer.get_watermark_offsets(where, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in FORBIDDEN:
                raise Stop(f"Topic {self._topic} cannot be read: {cause.str()}.") from error
            raise Retry(f"the end of topic {self._topic} is not known: {cause.str()}") from error
        return int(high)

    def _find_partitions(self) -> tuple[int, ...]:
        try:
            found = self._consumer.list_topics(self._topic, timeout=FIRST_LOOK_S).topics[self._topic]
        except KafkaException as error:
            raise Stop(f"The brokers did not describe topic {self._topic}: {error.args[0].str()}.") from error
        return tuple(sorted(found.partitions))
