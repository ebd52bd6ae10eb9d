"""Desk: rows that did not come from Kafka, scored between live batches, one model call a turn."""

from collections import deque
from typing import Final

import numpy as np

from stream_infer.errors import StreamInferError
from stream_infer.model import DeviceLost
from stream_infer.model.serving import Variant
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.calls import CallWatch
from stream_infer.pipeline.commit import NEVER
from stream_infer.pipeline.decode import Decoded
from stream_infer.pipeline.infer import Served, collect, launch
from stream_infer.records import Records

NONE: Final = np.empty(0, dtype=np.int64)
NO_RECORDS: Final = Records((), NONE, NONE, [], [], None, 0.0)
"""What such rows lie beside: they have no position, and nothing of them is counted or committed."""


class Desk:
    """Questions in the order they came. Every method runs on the compute thread; whoever asks bounds how many wait."""

    def __init__(self, watch: CallWatch) -> None:
        self._watch = watch
        self._waiting: deque[told.Score] = deque()

    def wait_s(self) -> float:
        """Return how long nothing needs to be done here; `NEVER` when nothing waits."""
        return 0.0 if self._waiting else NEVER

    def ask(self, question: told.Score) -> None:
        """Queue a question."""
        self._waiting.append(question)

    def answer_one(self) -> None:
        """Score the oldest question that somebody still waits for.

        Rows that the model fails on are found by halving, as on the stream. A model that fails on everything is told to
        whoever asked and changes nothing else; raises `DeviceLost`.
        """
        while self._waiting and self._waiting[0].answer.cancelled():
            self._waiting.popleft()
        if not self._waiting:
            return
        question = self._waiting.popleft()
        columns = question.columns
        decoded = Decoded(NO_RECORDS, columns, np.arange(columns.num_rows), (), 0)
        try:
            served = Served(question.serving, Variant.STABLE)
            launched = launch(decoded, served, batch_size=max(columns.num_rows, 1), calling=self._watch.calling)
            with self._watch.calling():
                inferred = collect(launched, non_finite=question.non_finite)
        except DeviceLost as lost:
            told.refuse(question.answer, lost)
            raise
        except StreamInferError as error:
            told.refuse(question.answer, error)
        else:
            told.reply(question.answer, inferred)
