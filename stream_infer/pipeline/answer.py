"""Answer: everything that leaves the worker because of one scored batch."""

import numpy as np

from stream_infer.clock import Clock
from stream_infer.errors import Reject
from stream_infer.metrics import Metrics
from stream_infer.pipeline.encode import PredictionEncoder
from stream_infer.pipeline.infer import Inferred
from stream_infer.pipeline.produce import Predictions
from stream_infer.pipeline.reject import DeadLetters


class Answers:
    """Sends a prediction or a dead letter for every record of a batch that has a value."""

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

    def send(self, inferred: Inferred) -> None:
        """Hand a batch's answers to the producer; raises `Stop` when one can never be written."""
        rejects = [*inferred.rejects, *self._predict(inferred)]
        self._dead_letters.send(inferred.records, rejects, model_version=inferred.served.version.version)
        self._metrics.dead_lettered(rejects)
        self._metrics.skipped(inferred.skipped)

    def _predict(self, inferred: Inferred) -> list[Reject]:
        """Encode and send the predictions of a batch; return what could not be."""
        if inferred.scored is None:
            return []
        wall_s = self._clock.wall_s()
        with self._metrics.stage("encode"):
            encoded = self._encoder.encode(inferred, inferred.scored, now_s=wall_s)
        with self._metrics.stage("produce"):
            unsent = self._predictions.send(inferred.records, encoded)
        stamps = np.asarray(inferred.records.timestamps_ms)[encoded.rows]
        self._metrics.answered(len(encoded.rows) - len(unsent), timestamps_ms=stamps, now_s=wall_s)
        return [*encoded.rejects, *unsent]
