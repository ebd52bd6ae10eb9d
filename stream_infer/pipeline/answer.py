"""Answer: everything that leaves the worker because of one scored batch."""

from dataclasses import dataclass

import numpy as np

from stream_infer.clock import Clock
from stream_infer.errors import Reject
from stream_infer.metrics import Metrics
from stream_infer.pipeline.encode import Encoded, PredictionEncoder
from stream_infer.pipeline.infer import Inferred
from stream_infer.pipeline.limit import Tally
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch with a prediction or a refusal for every record that has a value; `wall_s` is when it was encoded."""

    inferred: Inferred
    encoded: Encoded | None
    rejects: tuple[Reject, ...]
    wall_s: float

    @property
    def tally(self) -> Tally:
        """How many were answered and refused."""
        return Tally(len(self.inferred.records) - self.inferred.skipped, len(self.rejects))


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
    ) -> None:
        self._encoder = encoder
        self._predictions = predictions
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics

    def encode(self, inferred: Inferred) -> Answered:
        """Make the answers of a batch; those that cannot be written are refused."""
        wall_s = self._clock.wall_s()
        if inferred.scored is None:
            return Answered(inferred, None, inferred.rejects, wall_s)
        with self._metrics.stage("encode"):
            encoded = self._encoder.encode(inferred, inferred.scored, now_s=wall_s)
        return Answered(inferred, encoded, (*inferred.rejects, *encoded.rejects), wall_s)

    def send(self, answered: Answered) -> None:
        """Hand a batch's answers to the producer; raises `Stop` when one can never be written."""
        inferred = answered.inferred
        rejects = [*answered.rejects, *self._predict(answered)]
        self._dead_letters.send(inferred.records, rejects, model_version=inferred.served.version.version)
        self._metrics.dead_lettered(rejects)
        self._metrics.skipped(inferred.skipped)

    def _predict(self, answered: Answered) -> list[Reject]:
        """Send the predictions of a batch; return what is too large to send."""
        if answered.encoded is None:
            return []
        records, rows = answered.inferred.records, answered.encoded.rows
        with self._metrics.stage("produce"):
            unsent = self._predictions.send(records, answered.encoded)
        stamps = np.asarray(records.timestamps_ms)[rows]
        self._metrics.answered(len(rows) - len(unsent), timestamps_ms=stamps, now_s=answered.wall_s)
        return unsent
