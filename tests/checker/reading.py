"""Reads a run's topics and offsets with confluent-kafka and fastavro, as any other client would."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from tests.checker.history import DeadLetter, Event, Place, Prediction, Retry

READ_AT_ONCE = 10_000
READ_TIMEOUT_S = 1.0
REQUEST_TIMEOUT_S = 30.0
SINGLE_OBJECT_MARK = b"\xc3\x01"
HEADER_PREFIX = "__streams.errors."
VERSION_HEADER = "stream_infer.model_version"
RETRY_PREFIX = "stream_infer.original_"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Decode = Callable[[bytes], Mapping[str, Any]]


class UnreadableValueError(Exception):
    """Bytes that are no record of the schema; the text says why."""


@dataclass(frozen=True, slots=True)
class AvroReader:
    """Decodes one schema by fastavro: `framed` values begin with the single-object mark and fingerprint."""

    schema: Mapping[str, Any]
    framed: bool = True

    @property
    def frame(self) -> bytes:
        """Return what a single-object value begins with."""
        form = to_parsing_canonical_form(dict(self.schema))
        return SINGLE_OBJECT_MARK + bytes.fromhex(fingerprint(form, "CRC-64-AVRO"))

    def decoder(self) -> Decode:
        """Return a function from a value to its record, which raises `UnreadableValueError`."""
        parsed, frame = parse_schema(dict(self.schema)), self.frame if self.framed else b""

        def decode(value: bytes) -> Mapping[str, Any]:
            if not value.startswith(frame):
                raise UnreadableValueError(f"the value begins with {value[:10].hex()}, expected {frame.hex()}")
            stream = BytesIO(value)
            stream.seek(len(frame))
            try:
                record: Any = fastavro.schemaless_reader(stream, parsed, None)
            except (EOFError, ValueError, IndexError, OverflowError) as error:
                raise UnreadableValueError(f"the value is cut short or wrong: {error}") from error
            if stream.tell() != len(value):
                raise UnreadableValueError(f"{len(value) - stream.tell()} bytes are left over")
            return dict(record)

        return decode


def read_topic(bootstrap_servers: str, topic: str) -> list[Message]:
    """Return every record that the topic holds now, each partition's in its order."""
    return list(each_of(bootstrap_servers, topic))


def each_of(bootstrap_servers: str, topic: str) -> Iterator[Message]:
    """Yield every record that the topic holds now, each partition's in its order."""
    properties = {"bootstrap.servers": bootstrap_servers, "group.id": "reads-to-the-end", "enable.partition.eof": True}
    consumer = Consumer(properties)
    try:
        yield from _to_the_end(consumer, topic, _ends(bootstrap_servers, topic))
    finally:
        consumer.close()


def place_of(message: Message) -> Place:
    return Place(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def read_events(messages: Sequence[Message], decode: Decode, *, features: str = "features") -> list[Event]:
    """Return input records; one that `decode` refuses, or whose `features` are not a list, has none."""
    return [_event(message, decode, features) for message in messages]


def read_predictions(messages: Sequence[Message], decode: Decode) -> list[Prediction]:
    """Return predictions; raises `UnreadableValueError` for a value that is none."""
    return [_prediction(message, decode(message.value() or b"")) for message in messages]


def read_dead_letters(messages: Sequence[Message]) -> list[DeadLetter]:
    """Return dead letters with the position and the version that their headers name."""
    named = ((message, headers_of(message)) for message in messages)
    return [DeadLetter(place_of(one), source_of(headers), headers.get(VERSION_HEADER)) for one, headers in named]


def read_retries(messages: Sequence[Message]) -> list[Retry]:
    """Return records of the retry topic with the position that their headers name."""
    return [Retry(place_of(message), source_of(headers_of(message), prefix=RETRY_PREFIX)) for message in messages]


def headers_of(message: Message) -> Mapping[str, str]:
    """Return a record's headers as text; of a repeated one the last."""
    pairs: Any = message.headers() or []
    return {name: (value or b"").decode() for name, value in pairs}


def source_of(headers: Mapping[str, str], *, prefix: str = HEADER_PREFIX) -> Place:
    """Return the position that a dead letter's headers name, or with their prefix a retry record's."""
    named = [headers[prefix + part] for part in ("topic", "partition", "offset")]
    return Place(named[0], int(named[1]), int(named[2]))


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970, without the rounding of a float."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _to_the_end(consumer: Consumer, topic: str, ends: Mapping[int, int]) -> Iterator[Message]:
    """Yield the records before `ends`; what lies in an open transaction is waited for until that is over."""
    left = {number for number, end in ends.items() if end}
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
    while left:
        for message in consumer.consume(READ_AT_ONCE, READ_TIMEOUT_S):
            error, place = message.error(), place_of(message)
            if error is None and place.offset < ends[place.partition]:
                yield message
            # The last offset may be a transaction's marker, which no reader sees: the end is told beside the records.
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise RuntimeError(f"cannot read {topic}: {error}")
            if place.offset + (error is None) >= ends[place.partition]:
                left.discard(place.partition)


def _ends(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Return the next offset of each partition, whatever a reader of committed records sees; 0 for an empty one."""
    group = {"bootstrap.servers": bootstrap_servers, "group.id": "asks-for-ends"}
    asker = Consumer(group | {"isolation.level": "read_uncommitted"})
    try:
        known = asker.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions
        marks = {number: asker.get_watermark_offsets(TopicPartition(topic, number)) for number in known}
        return {number: high if high > low else 0 for number, (low, high) in marks.items()}
    finally:
        asker.close()


def _event(message: Message, decode: Decode, features: str) -> Event:
    value = message.value()
    try:
        record = decode(value) if value is not None else {}
    except UnreadableValueError:
        record = {}
    found = record.get(features)
    return Event(
        place_of(message),
        message.key(),
        message.timestamp()[1],
        skipped=value is None,
        event_id=record.get("event_id"),
        features=found if isinstance(found, list) else None,
    )


def _prediction(message: Message, record: Mapping[str, Any]) -> Prediction:
    return Prediction(
        place_of(message),
        message.key(),
        message.timestamp()[1],
        Place(record["source_topic"], record["source_partition"], record["source_offset"]),
        event_id=record["event_id"],
        prediction=record["prediction"],
        confidence=record["confidence"],
        scores=record["scores"],
        version=record["model_version"],
        digest=record["model_digest"],
        revision=record["revision"],
        variant=record["variant"],
        inferred_at_us=microseconds(record["inferred_at"]),
    )
