"""Answer: everything that leaves the worker because of one scored batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream_infer.clock import Clock
from stream_infer.errors import Reject, Stage
from stream_infer.metrics import Metrics, Said
from stream_infer.pipeline.encode import Encoded, PredictionEncoder
from stream_infer.pipeline.infer import Inferred
from stream_infer.pipeline.limit import Tally
from stream_infer.pipeline.ports import Tracer
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch with a prediction or a refusal for every record that has a value."""

    inferred: Inferred
    encoded: Encoded | None
    rejects: tuple[Reject, ...]

    @property
    def tally(self) -> Tally:
        """How many were answered and refused."""
        by_model = sum(reject.stage is Stage.INFER for reject in self.rejects)
        return Tally(len(self.inferred.records) - self.inferred.skipped, len(self.rejects), by_model)


class Answers:
    """Makes, and sends, a prediction or a dead letter for every record of a batch that has a value."""

    def __init__(
        self,
        encoder: PredictionEncoder,
        *,
        predictions: Predictions,
        dead_letters: DeadLetters,
        clock: Clock,
        metrics: Metrics,
        tracer: Tracer | None = None,
    ) -> None:
        self._encoder = encoder
        self._predictions = predictions
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer

    def encode(self, inferred: Inferred) -> Answered:
        """Make the answers of a batch; those that cannot be written are refused."""
        self._metrics.called(inferred.given, padding=inferred.padding)
        if inferred.scored is None:
            return Answered(inferred, None, inferred.rejects)
        with self._metrics.stage("encode"):
            encoded = self._encoder.encode(inferred, inferred.scored, now_s=self._clock.wall_s())
        return Answered(inferred, encoded, (*inferred.rejects, *encoded.rejects))

    def send(self, answered: Answered) -> None:
        """Hand a batch's answers to the producer; raises `Stop` when one can never be written."""
        inferred = answered.inferred
        rejects = [*answered.rejects, *self._predict(answered)]
        self._dead_letters.send(inferred.records, rejects, model_version=inferred.served.version.version)
        self._metrics.dead_lettered(rejects)
        self._metrics.skipped(inferred.skipped)
        if self._tracer is not None:
            self._tracer.sent(inferred.records, _about(inferred, refused=len(rejects)))

    def _predict(self, answered: Answered) -> list[Reject]:
        """Send the predictions of a batch; return what is too large to send."""
        if answered.encoded is None:
            return []
        inferred, rows = answered.inferred, answered.encoded.rows
        with self._metrics.stage("produce"):
            unsent = self._predictions.send(inferred.records, answered.encoded)
        if unsent:
            rows = sorted({*rows}.difference(reject.row for reject in unsent))
        stamps = inferred.records.timestamps_ms
        stamps = stamps if len(rows) == len(stamps) else stamps[rows]
        self._metrics.answered(_said(inferred, rows), timestamps_ms=stamps)
        return unsent


def _about(inferred: Inferred, *, refused: int) -> Mapping[str, str | int]:
    """Return what a trace says of a batch besides its records."""
    served = inferred.served
    return {
        "stream_infer.model.name": served.version.name,
        "stream_infer.model.version": served.version.version,
        "stream_infer.revision": served.revision,
        "stream_infer.variant": served.variant,
        "stream_infer.dead_letters": refused,
    }


def _said(inferred: Inferred, sent: Sequence[int]) -> Said:
    """Return what the model said of the rows that were sent."""
    scored, version = inferred.scored, inferred.served.version.version
    if scored is None:
        return Said(version, len(sent))
    if len(sent) < len(inferred.rows):
        scored = scored.take(np.isin(inferred.rows, sent))
    return Said(version, len(sent), scored.labels, scored.label_index, scored.confidence, scored.withheld)
