"""What a worker did, for whoever watches it without a dashboard: a line now and then, and one at the end."""

import json
import logging
from typing import Protocol

from stream_infer.metrics.unsure import Totals

log = logging.getLogger(__name__)


class Counted(Protocol):
    """What counts."""

    def totals(self) -> Totals:
        """Return what was counted since the start."""
        ...


def final_line(metrics: Counted) -> str:
    """Return the counters of answers as one line of JSON: what a run did, when nothing follows any more."""
    totals = metrics.totals()
    return "final counters: " + json.dumps(
        {
            "predictions_produced_total": totals.answered,
            "dead_letters_total": totals.dead_lettered,
            "records_skipped_total": totals.skipped,
            "batches_total": totals.batches,
        }
    )


class Reporter:
    """Says in the log what a worker did in each period."""

    def __init__(self, metrics: Counted, *, period_s: float) -> None:
        self._metrics = metrics
        self._period_s = period_s
        self._last = Totals()

    def report(self) -> None:
        """Write one line about the time since the last call; nothing when nothing moved."""
        now, last = self._metrics.totals(), self._last
        self._last = now
        answered, batches = now.answered - last.answered, now.batches - last.batches
        if now != last:
            log.info(
                "%d records answered in %.0f s (%.0f a second, %.1f a batch), %d dead letters, %d skipped",
                answered,
                self._period_s,
                answered / self._period_s,
                answered / max(batches, 1),
                now.dead_lettered - last.dead_lettered,
                now.skipped - last.skipped,
            )
