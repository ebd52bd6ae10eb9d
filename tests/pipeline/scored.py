"""A scorer on made-up ground: real schemas and a real small model, a producer and a clock of the test's own."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fastavro
import numpy as np
import torch
from torch import nn

from stream_infer.avro import load_schema
from stream_infer.errors import Retry, Stop
from stream_infer.metrics import Metrics
from stream_infer.model import LoadedVersion, ModelSlot, load_version, open_device
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.answer import Answers
from stream_infer.pipeline.commit import AtLeastOnce
from stream_infer.pipeline.decode import BatchDecoder, DecodedColumns
from stream_infer.pipeline.ledger import Ledger
from stream_infer.pipeline.limit import Allowed
from stream_infer.pipeline.origin import origin_headers
from stream_infer.pipeline.path import BatchPath, Limits, Steps
from stream_infer.pipeline.ports import Tracer
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters
from stream_infer.pipeline.run import Scorer
from stream_infer.pipeline.transact import ExactlyOnce
from stream_infer.records import Assigned, Headers, Partition, Place, Positions, Records, Run
from stream_infer.scoring import Codec, Decoders
from stream_infer.settings import load_settings
from stream_infer.testing.clock import HandClock
from stream_infer.testing.models import write_module
from stream_infer.testing.producer import Delivered, FakeProducer, FakeTransactions

TOPIC = "events"
RETRY = "retries"
KNOWN = 10
TIMEOUT_S = 60.0
"""After which the broker would end a transaction."""
ALLOWED = Allowed(max_ratio=0.5, min_records=40, window_s=60.0)
QUEUE_LIMIT = 200


class Lookup(nn.Module):
    """Scores a row by its first feature; a number that the table does not have makes the whole call fail."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(KNOWN, 2)
        with torch.no_grad():
            self.table.weight.copy_(torch.arange(2.0 * KNOWN).reshape(KNOWN, 2))
            self.table.weight[3] = torch.nan

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table(x[:, 0].long())  # type: ignore[no-any-return] # torch types a call as Any


def write_lookup(repository: Path) -> Path:
    manifest = {
        "inputs": [{"name": "x", "field": "features", "dtype": "float32", "shape": [2]}],
        "outputs": {"task": "classification", "labels": ["no", "yes"]},
    }
    return write_module(repository, Lookup(), manifest=manifest).path


def load(model: Path, *, batch_size: int) -> LoadedVersion:
    return load_version(model, device=open_device("cpu"), batch_size=batch_size)


@dataclass(slots=True)
class Committed:
    """The consumer thread as the scorer sees it; `delivered` is how much was delivered at each commit."""

    producer: FakeProducer
    commits: list[tuple[Positions, int]] = field(default_factory=list)

    rewinds: int = 0
    asked: int = 0

    def commit(self, positions: Positions) -> None:
        self.commits.append((positions, len(self.producer.delivered)))

    def ask_membership(self) -> None:
        self.asked += 1

    def rewind(self) -> None:
        self.rewinds += 1


@dataclass(slots=True)
class Intake:
    """What was given back, records and bytes, and polls, and whether anything may come in."""

    given: list[int] = field(default_factory=lambda: [0, 0])
    polls: int = 0
    is_open: bool = True

    def give(self, records: int, *, size_bytes: int) -> None:
        self.given[0] += records
        self.given[1] += size_bytes

    def give_turn(self, polls: int) -> None:
        self.polls += polls

    def close(self) -> None:
        self.is_open = False

    def open(self) -> None:
        self.is_open = True


@dataclass(slots=True)
class AwayAtFirst:
    """A decoder whose registry is away for the first `refusals` batches."""

    inner: BatchDecoder
    refusals: int = 0

    def decode(self, values: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> DecodedColumns:
        if self.refusals:
            self.refusals -= 1
            raise Retry("the registry is away")
        return self.inner.decode(values, headers)


class Ground:
    """Everything around one scorer, and short ways to tell it things."""

    def __init__(
        self,
        model: Path | LoadedVersion,
        *,
        max_batch_size: int = 8,
        non_finite: str | None = "dead_letter",
        max_concurrent_batches: int = 2,
        exactly_once: bool = False,
        refusals: Allowed = ALLOWED,
        tracer: Tracer | None = None,
    ) -> None:
        settings = load_settings(None, ["topics.input=events", "batching.max_queue_delay_ms=5"], {})
        self.clock = HandClock(now_s=100.0)
        topics = {"predictions": 4, TOPIC: 4, settings.topics.dead_letter: 1}
        self.transactions = FakeTransactions(topics)
        self.producer = self.transactions if exactly_once else FakeProducer(topics)
        self.committed = Committed(self.producer)
        self.inbox = told.Inbox()
        self.intake = Intake()
        self.refused_versions: set[str] = set()
        self.schema = load_schema(settings.schemas.input)
        version = model if isinstance(model, LoadedVersion) else load(model, batch_size=max_batch_size)
        self.slot = ModelSlot(Serving(0, version))
        self.ledger = ledger = Ledger()
        codec = Codec(settings, self.schema, self.clock)
        self.decoder = AwayAtFirst(Decoders(settings, codec)([version]))
        self.metrics = metrics = Metrics(version="0", clock=self.clock)
        steps = Steps(
            decoder_for=self.decoder_for,
            keys=codec.key_readers(),
            slot=self.slot,
            answers=Answers(
                codec.prediction_encoder(),
                predictions=Predictions(
                    "predictions", producer=self.producer, partitions=topics, traced=tracer is not None
                ),
                dead_letters=DeadLetters(settings.topics.dead_letter, producer=self.producer),
                clock=self.clock,
                metrics=metrics,
                tracer=tracer,
            ),
            commit=self._commit(metrics) if exactly_once else self._plain_commit(metrics),
        )
        limits = Limits(
            max_batch_size=max_batch_size,
            max_queue_delay_s=0.005,
            max_concurrent_batches=max_concurrent_batches,
            non_finite=non_finite,
            refusals=refusals,
            queue_limit_records=QUEUE_LIMIT,
            retry_topic=RETRY,
            intake=self.intake,
        )
        path = BatchPath(steps, ledger=ledger, limits=limits, clock=self.clock, metrics=metrics)
        self.scorer = Scorer(
            path, ledger=ledger, inbox=self.inbox, intake=self.intake, commit=steps.commit, clock=self.clock
        )
        self._sequence = 0
        self._prediction = fastavro.parse_schema(fastavro.schema.load_schema(str(settings.schemas.output)))

    def _plain_commit(self, metrics: Metrics) -> AtLeastOnce:
        return AtLeastOnce(
            self.ledger, producer=self.producer, committer=self.committed, interval_s=1.0, metrics=metrics
        )

    def _commit(self, metrics: Metrics) -> ExactlyOnce:
        return ExactlyOnce(
            self.ledger,
            producer=self.transactions,
            committer=self.committed,
            interval_s=1.0,
            timeout_s=TIMEOUT_S,
            clock=self.clock,
            metrics=metrics,
        )

    def decoder_for(self, versions: Sequence[LoadedVersion]) -> BatchDecoder:
        if any(version.version in self.refused_versions for version in versions):
            raise Stop("a version reads a field that the schema does not have")
        return self.decoder

    def assign(self, *partitions: int, epoch: int = 1) -> None:
        self.inbox.put(told.Begin([Assigned(Partition(TOPIC, one), epoch, None) for one in partitions]))

    def value(self, first: float, *, second: float = 0.0, name: str = "e") -> bytes:
        buffer = io.BytesIO()
        event = {"event_id": name, "entity_id": "x", "event_time": 0, "features": [first, second]}
        fastavro.schemaless_writer(buffer, _EVENT, event)
        return b"\xc3\x01" + self.schema.fingerprint + buffer.getvalue()

    def poll(
        self,
        values: Sequence[bytes | None],
        *,
        partition: int = 0,
        offset: int = 0,
        epoch: int = 1,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
    ) -> Records:
        """Tell the scorer of one poll of one partition; without `keys` each record has a key of its own."""
        count = len(values)
        records = Records(
            runs=(Run(Partition(TOPIC, partition), epoch, 0, count),),
            offsets=np.arange(offset, offset + count),
            timestamps_ms=np.arange(1_000 + offset, 1_000 + offset + count),
            keys=list(keys) if keys else [b"key-%d" % (offset + row) for row in range(count)],
            values=list(values),
            headers=list(headers) if headers else None,
            arrived_s=self.clock.now_s,
        )
        self.inbox.put(told.Arrived(self._sequence, records))
        self._sequence += 1
        return records

    def retry(
        self,
        values: Sequence[bytes],
        *,
        origins: Sequence[Place | None],
        keys: Sequence[bytes | None] | None = None,
    ) -> None:
        """Tell the scorer of one poll of partition 0 of the retry topic: first attempts."""
        count = len(values)
        records = Records(
            runs=(Run(Partition(RETRY, 0), 1, 0, count),),
            offsets=np.arange(count),
            timestamps_ms=np.full(count, 1_000),
            keys=list(keys) if keys else [b"key-%d" % row for row in range(count)],
            values=list(values),
            headers=[origin_headers(one, attempt=1) if one else None for one in origins],
            arrived_s=self.clock.now_s,
        )
        self.inbox.put(told.Arrived(self._sequence, records))
        self._sequence += 1

    def turn(self, times: int = 1, *, after_s: float = 0.01) -> None:
        """Let time pass and the scorer turn; it never waits, because something is always due."""
        for _ in range(times):
            self.clock.now_s += after_s
            self.inbox.put(told.CommitAnswered({}))
            self.scorer.turn()

    def predictions(self) -> list[dict[str, object]]:
        """Return the predictions delivered, decoded by fastavro."""
        return [self.decoded(one) for one in self.producer.delivered if one.topic == "predictions"]

    def dead_letters(self) -> list[Delivered]:
        return [one for one in self.producer.delivered if one.topic.endswith("dead-letter")]

    def decoded(self, one: Delivered) -> dict[str, object]:
        record = fastavro.schemaless_reader(io.BytesIO((one.value or b"")[10:]), self._prediction, None)
        assert isinstance(record, dict)
        return record


_EVENT = fastavro.parse_schema(fastavro.schema.load_schema(str(load_settings(None, [], {}).schemas.input)))
