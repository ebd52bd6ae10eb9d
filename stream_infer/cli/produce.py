"""`stream-infer produce`: JSON lines to Avro events on the input topic."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.avro import AvroSchema, load_schema
from stream_infer.avro.framing import confluent_frame, single_object_frame
from stream_infer.avro.from_json import Misfit
from stream_infer.cli.event_writer import Event, EventWriter
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop, WrongUse
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config, wait_for_broker
from stream_infer.transport.registry import RegistrySource
from stream_infer.transport.topics import admin_for, require_topic

log = logging.getLogger(__name__)

PROGRESS_S: Final = 5.0
POLL_S: Final = 0.1


@with_common_options
def produce(
    common: CommonOptions,
    *,
    source: Annotated[
        str, typer.Option("--input", metavar="FILE.jsonl|-", help="JSON lines; - is standard input.")
    ] = "-",
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second at most.")] = None,
    key_field: Annotated[
        str | None, typer.Option(help="Field whose text is the key; default: schemas.fields.entity_id.")
    ] = None,
) -> None:
    """Send JSON lines as Avro events to the (first) input topic, and wait until they are delivered.

    Times are ISO 8601 or epoch numbers, bytes base64. A line without event id or time gets one.
    """
    settings = common.start()
    topic = settings.topics.input[0]
    wait_for_broker(settings)
    require_topic(admin_for(settings), topic, settings)
    writer = _writer(settings, key_field=key_field or _default_key(settings))
    sender = Sender(settings, topic=topic, rate=rate)
    try:
        with _open(source) as lines:
            for event in _events(lines, writer, name=source):
                sender.send(event)
    finally:
        sender.finish()


class Sender:
    """Produces at a rate, counts what is delivered and says so."""

    def __init__(self, settings: Settings, *, topic: str, rate: float | None) -> None:
        self._topic = topic
        self._rate = rate
        self._clock = SystemClock()
        self._producer = create_client(Producer, producer_config(settings))
        self._started_s = self._noted_s = self._clock.monotonic_s()
        self._sent = self._delivered = 0
        self._failure: KafkaError | None = None

    def send(self, event: Event) -> None:
        """Hand one event to librdkafka, when its time has come; raises `Stop` when an earlier one was refused."""
        self._wait_for_turn()
        while not self._queued(event):
            self._producer.poll(POLL_S)
        self._producer.poll(0)
        self._sent += 1
        if self._failure is not None:
            raise Stop(f"Topic {self._topic} cannot be written: {self._failure.str()}.")
        self._note_progress()

    def finish(self) -> None:
        """Wait until everything is delivered and say how much that was; raises `Stop` when something was refused."""
        while self._producer.flush(PROGRESS_S):
            log.warning("%d events are not delivered yet", len(self._producer))
        seconds = self._clock.monotonic_s() - self._started_s
        print(f"{self._delivered} events delivered to {self._topic} in {seconds:.1f} s", file=sys.stderr)
        if self._failure is not None and sys.exc_info()[0] is None:
            raise Stop(f"Topic {self._topic} cannot be written: {self._failure.str()}.")

    def _wait_for_turn(self) -> None:
        while self._rate and (ahead_s := self._sent / self._rate - self._elapsed_s()) > 0:
            self._producer.poll(min(ahead_s, POLL_S))

    def _queued(self, event: Event) -> bool:
        try:
            self._producer.produce(self._topic, event.value, event.key, on_delivery=self._note_delivery)
        except BufferError:
            return False
        except KafkaException as error:
            raise Stop(f"Topic {self._topic} cannot be written: {error.args[0].str()}.") from error
        return True

    def _note_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._delivered += 1
        else:
            self._failure = error

    def _note_progress(self) -> None:
        if self._clock.monotonic_s() - self._noted_s >= PROGRESS_S:
            self._noted_s = self._clock.monotonic_s()
            print(f"{self._delivered} events delivered so far", file=sys.stderr)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._started_s


def _events(lines: TextIO, writer: EventWriter, *, name: str) -> Iterator[Event]:
    """Yield the event of every line that is not empty; raises `Stop` with the line's number at the first bad one."""
    where = "standard input" if name == "-" else name
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield writer.event(line)
        except Misfit as misfit:
            raise Stop(f"Line {number} of {where} is no event: {misfit}. The lines before it were sent.") from misfit


def _writer(settings: Settings, *, key_field: str | None) -> EventWriter:
    schema = load_schema(settings.schemas.input)
    return EventWriter(
        schema,
        frame=_frame(settings, schema),
        key_field=key_field,
        fields=settings.schemas.fields,
        clock=SystemClock(),
    )


def _frame(settings: Settings, schema: AvroSchema) -> bytes:
    match settings.schemas.input_format:
        case "raw":
            return b""
        case "confluent":
            subject = f"{settings.topics.input[0]}-value"
            return confluent_frame(RegistrySource(settings).id_for(subject, schema.json))
        case _:
            return single_object_frame(schema.fingerprint)


def _default_key(settings: Settings) -> str | None:
    path = settings.schemas.fields.entity_id
    in_key = path is not None and (path == "key" or path.startswith("key."))
    return None if in_key else path


@contextlib.contextmanager
def _open(source: str) -> Iterator[TextIO]:
    if source == "-":
        yield sys.stdin
        return
    try:
        with Path(source).open(encoding="utf-8") as lines:
            yield lines
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WrongUse(f"--input is {source}, expected a file of JSON lines that can be read: {reason}.") from error
