"""How many batches go through the path together while more wait than the model takes at once.

A batch is what the model is called with. Decoding and encoding cost less a row the more rows they are given, so that
full batches that wait anyway are decoded, encoded and sent as one stretch, and the model is called once for each. A
stretch is short in time: what serves, who owns a partition and what is committed changes only between two of them.
"""

from typing import Final

from stream_infer.pipeline.commit import NEVER

TARGET_S: Final = 0.02
"""How long a stretch may take, judged by the last one. A model that takes longer for one batch has stretches of one."""
MOST_ROWS: Final = 4096
"""From there on more rows cost no less each; it is also what one poll brings."""
QUEUE_SHARE: Final = 4
"""A stretch is at most this part of `batching.queue_limit_records`, so that the queue fills while it is under way."""


class Stretch:
    """Measures stretches and says how many rows the next may have. Used by the compute thread alone."""

    def __init__(self, *, queue_limit_records: int) -> None:
        self._most_rows = min(MOST_ROWS, queue_limit_records // QUEUE_SHARE)
        self._rows = 0
        self._took_s = NEVER

    @property
    def is_short(self) -> bool:
        """Whether the last stretch took no longer than it may."""
        return self._took_s <= TARGET_S

    @property
    def rows(self) -> int:
        """Most rows of the next stretch; a single batch may have more."""
        return self._rows

    def forget(self) -> None:
        """Let the next stretch be one batch: something else serves, and nobody knows how long that takes."""
        self._rows = 0
        self._took_s = NEVER

    def note(self, rows: int, *, took_s: float) -> None:
        """Note how long a stretch of `rows` took from its decoding to its hand-over, in seconds."""
        self._took_s = took_s
        if took_s <= 0:
            self._rows = self._most_rows
        elif rows:
            self._rows = int(min(self._most_rows, rows * TARGET_S / took_s))
