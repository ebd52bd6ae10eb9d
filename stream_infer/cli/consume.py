"""`stream-infer consume`: Avro records to JSON lines on standard output."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Final, cast

import typer
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_infer.avro import AvroSchema, load_schema, with_passthrough
from stream_infer.avro.framing import InputFormat
from stream_infer.avro.refusal import Refusal
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.cli.record_reader import RecordReader
from stream_infer.cli.to_json import headers_to_json, in_base64, iso_time, text_or_base64
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop
from stream_infer.records import Headers
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, reader_config, wait_for_broker
from stream_infer.transport.registry import RegistrySource
from stream_infer.transport.topics import admin_for, require_topic

POLL_S: Final = 0.2
REQUEST_TIMEOUT_S: Final = 30.0


@with_common_options
def consume(
    common: CommonOptions,
    *,
    topic: Annotated[str | None, typer.Option(help="Topic to read; default: topics.output.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Read what is there already, too.")] = False,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Stop after so many records.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds without a record.")] = None,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Add key, partition, offset, timestamp and headers.")
    ] = False,
) -> None:
    """Read Avro records as JSON lines: a line is a record's value; all partitions, no consumer group.

    A value that does not decode comes in base64, with key, position and headers, as do all dead letters.
    """
    settings = common.start()
    name = topic or settings.topics.output
    wait_for_broker(settings)
    require_topic(admin_for(settings), name, settings)
    printer = LinePrinter(
        reader_of(settings, is_output=name == settings.topics.output),
        with_metadata=metadata or name == settings.topics.dead_letter,
    )
    consumer = create_client(Consumer, reader_config(settings))
    try:
        _assign(consumer, name, from_beginning=from_beginning)
        _print_all(islice(_messages(consumer, timeout_s=timeout), max_messages), printer)
    finally:
        consumer.close()


def _print_all(messages: Iterable[Message], printer: "LinePrinter") -> None:
    try:
        for message in messages:
            printer.show(message)
    except KeyboardInterrupt:
        # The way to end a command that otherwise runs for ever.
        return
    except BrokenPipeError:
        # Whoever read has enough; what Python would still flush at its end has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LinePrinter:
    """Prints a record as one line of JSON."""

    def __init__(self, reader: RecordReader, *, with_metadata: bool) -> None:
        self._reader = reader
        self._with_metadata = with_metadata

    def show(self, message: Message) -> None:
        """Print one record."""
        content = message.value()
        headers = _headers(message)
        try:
            value = None if content is None else self._reader.read(content, headers)
        except Refusal as refusal:
            self._print(_described(message) | in_base64(content, name="value") | {"error": str(refusal)})
            return
        self._print(_described(message) | {"value": value} if self._with_metadata else value)

    def _print(self, line: Any) -> None:
        print(json.dumps(line, ensure_ascii=False), flush=True)


def _headers(message: Message) -> Headers | None:
    # The stubs allow what may be given to a producer; what comes from a consumer is a list of pairs with bytes.
    return cast("Headers | None", message.headers())


def _described(message: Message) -> dict[str, Any]:
    _, stamp_ms = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": iso_time(stamp_ms) if stamp_ms >= 0 else None,
        **text_or_base64(message.key(), name="key"),
        "headers": headers_to_json(_headers(message)),
    }


def _assign(consumer: Consumer, topic: str, *, from_beginning: bool) -> None:
    """Take every partition of a topic, from its first record or from what comes next."""
    try:
        count = len(consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions)
        ends = [] if from_beginning else [_end(consumer, topic, partition) for partition in range(count)]
    except KafkaException as error:
        raise Stop(f"Topic {topic} cannot be read: {error.args[0].str()}.") from error
    starts = ends or [OFFSET_BEGINNING] * count
    consumer.assign([TopicPartition(topic, partition, start) for partition, start in enumerate(starts)])


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=REQUEST_TIMEOUT_S)
    return int(end)


def _messages(consumer: Consumer, *, timeout_s: float | None) -> Iterator[Message]:
    """Yield records as they come; ends after `timeout_s` without one."""
    clock = SystemClock()
    last_s = clock.monotonic_s()
    while timeout_s is None or clock.monotonic_s() - last_s <= timeout_s:
        message = consumer.poll(POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is None:
            last_s = clock.monotonic_s()
            yield message
        elif error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise Stop(f"Topic {message.topic()} cannot be read: {error.str()}.")


def reader_of(settings: Settings, *, is_output: bool) -> RecordReader:
    """Return a reader of predictions, or of events, as the settings say that they are framed."""
    reader = load_schema(settings.schemas.input)
    prediction = with_passthrough(load_schema(settings.schemas.output), reader, settings.schemas.passthrough)
    return RecordReader(
        input_format=_format(settings, is_output=is_output),
        local=(reader, prediction, *_beside(settings)),
        raw=prediction if is_output else reader,
        source=RegistrySource(settings) if settings.schema_registry.url else None,
    )


def _beside(settings: Settings) -> Iterator[AvroSchema]:
    """Yield every schema in the folders of the configured ones: what fingerprints may name."""
    folders = {settings.schemas.input.parent, settings.schemas.output.parent}
    yield from (load_schema(path) for folder in sorted(folders) for path in sorted(folder.glob("*.avsc")))


def _format(settings: Settings, *, is_output: bool) -> InputFormat:
    """Return how values are framed: raw only where the settings say so, because raw can be taken for anything."""
    if is_output:
        return "raw" if settings.schemas.output_format == "raw" else "auto"
    return settings.schemas.input_format
