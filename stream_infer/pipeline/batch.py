"""Micro-batching by size or deadline. Pure: no clock, no thread, no I/O.

`max_batch_size` and `max_queue_delay` mean what they mean in Triton's dynamic batcher, with the delay counted from
the oldest record's arrival until the model is called.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stream_infer.records import Records, concat


class Trigger(StrEnum):
    """Why a batch was closed."""

    SIZE = "size"
    DELAY = "delay"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go to the model together, or several full batches of them."""

    records: Records
    trigger: Trigger


WEIGHT: Final = 1 / 16
MOST: Final = 0.25
"""Share of the delay."""
LONGEST_S: Final = 0.002
"""What takes longer is not waking up and decoding: other work was under way."""


class HeadStart:
    """How much before its deadline a batch is cut, so that the model is called by then: as long as that took lately."""

    def __init__(self, *, max_queue_delay_s: float) -> None:
        self._max_queue_delay_s = max_queue_delay_s
        self.seconds = 0.0

    def note(self, took_s: float) -> None:
        """Note how long it took from when a batch was due to be cut until the model was called."""
        if took_s <= LONGEST_S:
            longer_s = self.seconds + WEIGHT * (took_s - self.seconds)
            self.seconds = min(longer_s, MOST * self._max_queue_delay_s)


class Batcher:
    """Collects polls and cuts batches from them, in arrival order: every record is in exactly one batch.

    `head_start` may be shared with others. `_cursor` is the first row of the oldest poll that no batch has taken yet.
    """

    def __init__(self, *, max_queue_delay_s: float, head_start: HeadStart | None = None) -> None:
        self._max_queue_delay_s = max_queue_delay_s
        self._head_start = head_start or HeadStart(max_queue_delay_s=max_queue_delay_s)
        self._pending: deque[Records] = deque()
        self._cursor = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, records: Records) -> None:
        """Queue the rows of one poll."""
        if len(records):
            self._pending.append(records)
            self._count += len(records)

    def oldest_s(self) -> float | None:
        """Return the monotonic time at which the oldest record arrived; None when nothing waits."""
        return self._pending[0].arrived_s if self._pending else None

    def due_s(self) -> float | None:
        """Return the monotonic time at which the oldest record has waited long enough; None when nothing waits."""
        if not self._pending:
            return None
        return self._pending[0].arrived_s + self._max_queue_delay_s - self._head_start.seconds

    def next_batch(self, now_s: float, *, max_batch_size: int, most: int = 1, drain: bool = False) -> Batch | None:
        """Cut the next batch if one is full, or due, or `drain` asks for what is there; else None.

        Of full batches up to `most` are cut at once.
        """
        if self._count >= max_batch_size:
            return Batch(self._cut(max_batch_size * min(most, self._count // max_batch_size)), Trigger.SIZE)
        due_s = self.due_s()
        if due_s is None or (now_s < due_s and not drain):
            return None
        return Batch(self._cut(self._count), Trigger.DRAIN if drain else Trigger.DELAY)

    def take_all(self) -> list[Records]:
        """Take everything out, in arrival order."""
        waiting, cursor = list(self._pending), self._cursor
        self._pending.clear()
        self._cursor = self._count = 0
        return [waiting[0].slice(cursor, len(waiting[0])), *waiting[1:]] if waiting else []

    def _cut(self, size: int) -> Records:
        taken: list[Records] = []
        missing = size
        while missing:
            head = self._pending[0]
            stop = min(self._cursor + missing, len(head))
            taken.append(head.slice(self._cursor, stop))
            missing -= stop - self._cursor
            self._cursor = stop
            if stop == len(head):
                self._pending.popleft()
                self._cursor = 0
        self._count -= size
        return concat(taken)
