"""Makes the scorer of a worker from its settings: every step of the path, put together on the compute thread."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from stream_infer.avro import (
    AvroSchema,
    Decoder,
    Encoder,
    KeyDecoder,
    is_key_path,
    load_schema,
    path_type,
    with_passthrough,
)
from stream_infer.clock import Clock
from stream_infer.errors import Stop, WrongUse
from stream_infer.metrics import Metrics
from stream_infer.model import InferenceFailed, LoadedVersion, ModelSlot, limit_threads
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.answer import Answers
from stream_infer.pipeline.calls import CallWatch
from stream_infer.pipeline.commit import AtLeastOnce, Commit
from stream_infer.pipeline.decode import KeyReader
from stream_infer.pipeline.encode import PredictionEncoder
from stream_infer.pipeline.fills import key_column
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.limit import Allowed
from stream_infer.pipeline.path import BatchPath, Limits, Steps
from stream_infer.pipeline.ports import Intake, OutputProducer, PositionCommitter, Tracer
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters
from stream_infer.pipeline.run import Scorer
from stream_infer.pipeline.transact import ExactlyOnce
from stream_infer.settings import Settings
from stream_infer.transport.registry import RegistrySource
from stream_infer.transport.transaction import TransactionalSink

log = logging.getLogger(__name__)

MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a scorer is tied to: the other threads, the output, the time, the metrics, and traces where they are on.

    `partitions` are the partition counts of topics.
    """

    inbox: told.Inbox
    producer: OutputProducer
    partitions: Mapping[str, int]
    committer: PositionCommitter
    intake: Intake
    clock: Clock
    metrics: Metrics
    tracer: Tracer | None = None


def set_threads() -> None:
    """Set how many threads torch uses for one operation, for the whole process."""
    threads = limit_threads(cores=len(os.sched_getaffinity(0)), chosen=os.environ.get("OMP_NUM_THREADS"))
    log.info("torch uses %d threads for an operation", threads)


def first_serving(inbox: told.Inbox, *, batch_size: int, watch: CallWatch) -> told.Serve:
    """Do what is asked before anything is scored, until it is said what serves; on the compute thread.

    Warm calls are made at every size up to `batch_size`: nobody waits for an answer yet.
    """
    while True:
        match inbox.get(None):
            case told.Warm(version, answer):
                with watch.calling():
                    _warm(version, answer, batch_size=batch_size)
            case told.Release(version, answer):
                version.release()
                told.reply(answer, None)
            case told.Serve() as first:
                return first


def _warm(version: LoadedVersion, answer: "Future[None]", *, batch_size: int) -> None:
    try:
        for size in version.warm_sizes(batch_size, batch_size):
            version.warm(size)
    except InferenceFailed as error:
        told.refuse(answer, error)
    else:
        told.reply(answer, None)


def make_scorer(settings: Settings, slot: ModelSlot, around: Surroundings) -> Scorer:
    """Return a scorer for what serves in `slot`; raises `Stop` when schemas, settings and model do not fit."""
    missed = around.metrics.schema_misses_total.inc
    codec = Codec(settings, load_schema(settings.schemas.input), around.clock, missed=missed)
    ledger = Ledger()
    commit = _commit(settings, ledger, around)
    steps = Steps(
        decoder_for=Decoders(settings, codec),
        keys=codec.key_readers(),
        slot=slot,
        answers=_answers(settings, codec, around),
        commit=commit,
    )
    path = BatchPath(steps, ledger=ledger, limits=_limits(settings, around), clock=around.clock, metrics=around.metrics)
    return Scorer(path, ledger=ledger, inbox=around.inbox, intake=around.intake, commit=commit, clock=around.clock)


class Decoders:
    """The decoder of everything that any version so far reads; made anew only when one reads more.

    A version's fields stay when it goes: the next one most likely reads them too.
    """

    def __init__(self, settings: Settings, codec: "Codec") -> None:
        self._settings = settings
        self._codec = codec
        self._needed: frozenset[str] = frozenset()
        self._decoder: Decoder | None = None

    def __call__(self, versions: Sequence[LoadedVersion]) -> Decoder:
        """Return a decoder for these versions too; raises `Stop` for a field that the schema does not have."""
        reader = self._codec.reader
        new = {name for version in versions for name in needed_fields(self._settings, version, reader)}
        if self._decoder is None or not new <= self._needed:
            needed = self._needed | new
            ordered = tuple(field.name for field in reader.fields if field.name in needed)
            self._decoder, self._needed = self._codec.decoder(ordered), needed
        return self._decoder


def needed_fields(settings: Settings, version: LoadedVersion, reader: AvroSchema) -> tuple[str, ...]:
    """Return the top-level input fields that anything reads; raises `Stop` for one that the schema does not have."""
    wanted = dict.fromkeys(version.fields, f"model {version.name} version {version.version}")
    wanted |= {path: f"schemas.fields.{name}" for name, path in _value_paths(settings).items()}
    wanted |= dict.fromkeys(settings.schemas.passthrough, "schemas.passthrough")
    for path, who in wanted.items():
        try:
            path_type(reader.arrow_schema, path)
        except WrongUse as error:
            message = f"{who} reads the field {path}: {error}"
            raise Stop(message) from error
    tops = {path.split(".")[0] for path in wanted}
    return tuple(field.name for field in reader.fields if field.name in tops)


def _answers(settings: Settings, codec: "Codec", around: Surroundings) -> Answers:
    return Answers(
        codec.prediction_encoder(),
        predictions=Predictions(
            settings.topics.output,
            producer=around.producer,
            partitions=around.partitions,
            traced=around.tracer is not None,
        ),
        dead_letters=DeadLetters(settings.topics.dead_letter, producer=around.producer),
        clock=around.clock,
        metrics=around.metrics,
        tracer=around.tracer,
    )


def _limits(settings: Settings, around: Surroundings) -> Limits:
    batching, limit = settings.batching, settings.delivery.dead_letter_limit
    return Limits(
        max_batch_size=batching.max_batch_size,
        max_queue_delay_s=batching.max_queue_delay_ms / MILLISECONDS,
        max_concurrent_batches=batching.max_concurrent_batches,
        non_finite=settings.delivery.non_finite,
        refusals=Allowed(limit.max_ratio, limit.min_records, limit.window_s),
        queue_limit_records=batching.queue_limit_records,
        retry_topic=settings.topics.retry,
        intake=around.intake,
    )


def _commit(settings: Settings, ledger: Ledger, around: Surroundings) -> Commit:
    delivery, producer, committer = settings.delivery, around.producer, around.committer
    interval_s = delivery.commit_interval_ms / MILLISECONDS
    if not isinstance(producer, TransactionalSink):
        return AtLeastOnce(
            ledger, producer=producer, committer=committer, interval_s=interval_s, metrics=around.metrics
        )
    return ExactlyOnce(
        ledger,
        producer=producer,
        committer=committer,
        interval_s=interval_s,
        timeout_s=delivery.transaction_timeout_ms / MILLISECONDS,
        clock=around.clock,
        metrics=around.metrics,
    )


def _event_fields(settings: Settings) -> Mapping[str, str | None]:
    fields = settings.schemas.fields
    return {"event_id": fields.event_id, "entity_id": fields.entity_id, "event_time": fields.event_time}


def _value_paths(settings: Settings) -> Mapping[str, str]:
    paths = _event_fields(settings)
    return {name: path for name, path in paths.items() if path is not None and not is_key_path(path)}


class Codec:
    """Everything Avro of one worker: what it reads, what it writes, and where schemas come from.

    `missed` is called whenever the registry is asked for a schema that is not known yet.
    """

    def __init__(
        self, settings: Settings, reader: AvroSchema, clock: Clock, *, missed: Callable[[], None] = lambda: None
    ) -> None:
        self.reader = reader
        self._settings = settings
        self._clock = clock
        self._source = RegistrySource(settings, asked=missed) if settings.schema_registry.url else None
        self._local = _local_schemas(settings, reader)
        schemas = settings.schemas
        self._output = with_passthrough(load_schema(schemas.output), reader, schemas.passthrough)

    def decoder(self, needed: tuple[str, ...]) -> Decoder:
        """Return the decoder of values, for the fields that anything reads."""
        return Decoder(
            self.reader,
            input_format=self._settings.schemas.input_format,
            sources=self._source,
            local=self._local,
            max_record_bytes=self._settings.delivery.max_record_bytes,
            clock=self._clock,
            fields=needed,
        )

    def key_readers(self) -> Mapping[str, KeyReader]:
        """Return a reader for every event field that lies in the record key."""
        paths = _event_fields(self._settings)
        return {
            key_column(name): self._key_reader(name, path) for name, path in paths.items() if path and is_key_path(path)
        }

    def prediction_encoder(self) -> PredictionEncoder:
        """Return the encoder of predictions; with Confluent framing the schema is looked up or registered first."""
        schemas = self._settings.schemas
        return PredictionEncoder(
            self._output,
            encoder=Encoder(self._output, output_format=schemas.output_format, schema_id=self._schema_id()),
            reader=self.reader.arrow_schema,
            event_fields=_event_fields(self._settings),
            passthrough=schemas.passthrough,
        )

    def _key_reader(self, name: str, path: str) -> KeyReader:
        return KeyDecoder(
            path,
            wanted=self._output.arrow_schema.field(name).type,
            input_format=self._settings.schemas.input_format,
            sources=self._source,
            local=self._local,
            max_record_bytes=self._settings.delivery.max_record_bytes,
            clock=self._clock,
        )

    def _schema_id(self) -> int | None:
        if self._source is None or self._settings.schemas.output_format != "confluent":
            return None
        find = self._source.register if self._settings.schema_registry.auto_register else self._source.id_for
        return find(f"{self._settings.topics.output}-value", self._output.json)


def _local_schemas(settings: Settings, reader: AvroSchema) -> list[AvroSchema]:
    """Return the reader and every other schema beside its file: what single-object records may be written with."""
    beside = sorted(settings.schemas.input.parent.glob("*.avsc"))
    return [reader, *(load_schema(path) for path in beside if path != settings.schemas.input)]
