"""The batch that waits for the registry, and the growing pause after which it is tried again."""

import logging
from typing import Final

from stream_infer.errors import Retry
from stream_infer.logs import Repeated
from stream_infer.pipeline.about import offsets_of
from stream_infer.pipeline.commit import NEVER
from stream_infer.pipeline.lanes import NOW, Dealt

repeated = Repeated(logging.getLogger(__name__))

RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0


class Held:
    """Holds one batch at most. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._dealt: Dealt | None = None
        self._pause_s = RETRY_FIRST_S
        self._retry_at_s = NOW

    def __bool__(self) -> bool:
        return self._dealt is not None

    def due_s(self) -> float:
        """Return when the batch is to be tried again; `NEVER` when there is none."""
        return NEVER if self._dealt is None else self._retry_at_s

    def hold(self, dealt: Dealt, reason: Retry, *, now_s: float) -> None:
        """Keep a batch and its positions; the pause grows until `relax`."""
        fields = {"batch": dealt.number, "offsets": offsets_of(dealt.records)}
        repeated.warning("%d records wait %.1f s: %s", len(dealt.records), self._pause_s, reason, extra=fields)
        self._dealt = dealt
        self._retry_at_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, RETRY_LAST_S)

    def take(self) -> Dealt | None:
        """Take the batch out."""
        dealt, self._dealt = self._dealt, None
        return dealt

    def relax(self) -> None:
        """Note that the registry is there."""
        self._pause_s = RETRY_FIRST_S
