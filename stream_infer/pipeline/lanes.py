"""Lanes: a batcher for each variant that serves, so that every batch is scored by one version. Pure, as batchers are.

Without a canary there is one lane and nothing is looked at record by record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving, Variant
from stream_infer.pipeline.batch import Batcher, HeadStart, Trigger
from stream_infer.pipeline.commit import NEVER
from stream_infer.records import Records, concat

NOW: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Dealt:
    """Rows that one variant scores together: one batch, or several full ones of `batch_size`.

    `number` counts what was cut in this process, from 1 on.
    """

    records: Records
    variant: Variant
    trigger: Trigger
    batch_size: int
    number: int


class _Lane:
    """The rows that wait for one variant, at most `max_batch_size` of which go together."""

    def __init__(self, variant: Variant, version: LoadedVersion, *, max_batch_size: int, batcher: Batcher) -> None:
        self.variant = variant
        self._version = version
        self._max_batch_size = max_batch_size
        self.batcher = batcher

    @property
    def max_batch_size(self) -> int:
        """Most rows of a batch; a version may lower that while it serves, when memory turns out to be too small."""
        most = self._version.max_batch_size
        return self._max_batch_size if most is None else min(self._max_batch_size, most)

    def due_s(self) -> float:
        """Return the monotonic time from which a batch can be cut."""
        if len(self.batcher) >= self.max_batch_size:
            return NOW
        due_s = self.batcher.due_s()
        return NEVER if due_s is None else due_s

    def oldest_s(self) -> float:
        """Return when the oldest row arrived."""
        oldest_s = self.batcher.oldest_s()
        return NEVER if oldest_s is None else oldest_s


class Lanes:
    """Deals rows to the variants of what serves as its router says, and cuts batches that never mix them.

    `max_batch_size` is the settings'; a version may lower it for its own lane. Times are monotonic seconds.
    """

    def __init__(self, serving: Serving, *, max_batch_size: int, max_queue_delay_s: float) -> None:
        self._max_batch_size = max_batch_size
        self._max_queue_delay_s = max_queue_delay_s
        self._head_start = HeadStart(max_queue_delay_s=max_queue_delay_s)
        self._router = serving.router
        self._numbers = count(1)
        self._lanes = self._lanes_for(serving)

    def __len__(self) -> int:
        return sum(len(lane.batcher) for lane in self._lanes)

    def add(self, records: Records) -> None:
        """Queue the rows of one poll."""
        if self._router is None or not len(records):
            self._lanes[0].batcher.add(records)
            return
        chosen = self._router.canary_rows(records)
        for lane, mask in zip(self._lanes, (~chosen, chosen), strict=True):
            rows = np.flatnonzero(mask)
            lane.batcher.add(records if len(rows) == len(records) else records.take(rows))

    def due_s(self) -> float:
        """Return the time from which a batch can be cut: `NOW` when one is full, `NEVER` when nothing waits."""
        return min(lane.due_s() for lane in self._lanes)

    def next_batch(self, now_s: float, *, most_rows: int = 0, drain: bool = False) -> Dealt | None:
        """Cut the batch of the lane whose oldest row came first, of those that are full or due; else None.

        Without a canary, whose every batch is judged, full batches that wait are cut together up to `most_rows`.
        `drain` asks for what is there, due or not.
        """
        lanes = [lane for lane in self._lanes if len(lane.batcher) and (drain or lane.due_s() <= now_s)]
        if not lanes:
            return None
        lane = min(lanes, key=_Lane.oldest_s)
        size = lane.max_batch_size
        most = 1 if self._router is not None else max(1, most_rows // size)
        batch = lane.batcher.next_batch(now_s, max_batch_size=size, most=most, drain=drain)
        return Dealt(batch.records, lane.variant, batch.trigger, size, next(self._numbers)) if batch else None

    def note_call(self, dealt: Dealt, now_s: float) -> None:
        """Note when the model is called for what was dealt: later batches are cut so much sooner."""
        if dealt.trigger is Trigger.DELAY:
            was_due_s = dealt.records.arrived_s + self._max_queue_delay_s - self._head_start.seconds
            self._head_start.note(now_s - was_due_s)

    def take_all(self) -> list[Records]:
        """Take out everything that waits."""
        return [part for lane in self._lanes for part in lane.batcher.take_all()]

    def serve(self, serving: Serving, *, returned: Sequence[Records] = ()) -> None:
        """Deal for something else from now on: what waits is dealt anew, and with it batches that are `returned`.

        Rows of one partition keep the order of their offsets, and rows of all partitions as nearly that of arrival.
        """
        waiting = [*returned, *self.take_all()]
        if len(waiting) > 1 and (returned or len(self._lanes) > 1):
            waiting = [in_order(waiting)]
        self._router = serving.router
        self._lanes = self._lanes_for(serving)
        for records in waiting:
            self.add(records)

    def _lanes_for(self, serving: Serving) -> list[_Lane]:
        return [
            _Lane(variant, version, max_batch_size=self._max_batch_size, batcher=self._batcher())
            for variant, version in zip(Variant, serving.versions, strict=False)
        ]

    def _batcher(self) -> Batcher:
        return Batcher(max_queue_delay_s=self._max_queue_delay_s, head_start=self._head_start)


def in_order(parts: Sequence[Records]) -> Records:
    """Return the rows of all parts as one, the parts that arrived first in front.

    Rows of one partition are then exchanged among the places that they hold, so that their offsets ascend.
    """
    whole = concat(sorted(parts, key=lambda part: part.arrived_s))
    named = {source: number for number, source in enumerate({(run.source, run.epoch) for run in whole.runs})}
    sources = np.array([named[run.source, run.epoch] for run in whole.runs])[whole.run_numbers()]
    order = np.empty(len(whole), dtype=np.intp)
    order[np.argsort(sources, kind="stable")] = np.lexsort((whole.offsets, sources))
    return whole.take(order)
