"""What the threads count while they work. Values are added per batch, never per record."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Gauge

from stream_infer.clock import Clock
from stream_infer.errors import Reject
from stream_infer.metrics.busy import BusyTime, RecentShare, Sums
from stream_infer.metrics.histogram import FEW, Buckets
from stream_infer.metrics.scores import Said
from stream_infer.metrics.table import TRIGGERS, Table
from stream_infer.metrics.unsure import Totals, Unsure

MS_PER_S: Final = 1000.0


class _Timed:
    """The time for which a block lasts; a generator as a block costs three times as much."""

    def __init__(self, series: Buckets, clock: Clock) -> None:
        self._series = series
        self._clock = clock
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = self._clock.monotonic_s()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._series.add(self._clock.monotonic_s() - self._began_s)


class Metrics(Table):
    """The worker's metrics; written by the compute thread, read by the web page.

    Answers are counted by `confirm`, so that those of a transaction that was rolled back never are.
    """

    def __init__(self, *, version: str, clock: Clock) -> None:
        super().__init__(version=version)
        self._clock = clock
        self._answered = self._dead_lettered = self._skipped = self._batches = 0
        self._unsure = Unsure()
        self._batches_by = {trigger: self.batches_total.labels(trigger) for trigger in TRIGGERS}
        self._rows = Sums(0, 0)
        self.device = BusyTime(clock)
        self._shares = (
            self._share("padding_ratio", "Share of padding in the model's rows, last minute.", lambda: self._rows),
            self._share("device_busy_ratio", "Share of the last minute with a call under way.", self.device.sums),
        )

    def look(self) -> None:
        """Let shares of the last minute be known; to be called every few seconds, on the thread that reads."""
        for share in self._shares:
            share.look()

    def consumed(self, records: int) -> None:
        """Count polled records."""
        self.consumed_total.inc(records)

    def batches(self, records: int, *, of: int, trigger: str) -> None:
        """Count the batches of `of` records that so many are; the last may be smaller."""
        full, rest = divmod(records, of)
        batches = full + bool(rest)
        self._batches += batches
        self._batches_by[trigger].inc(batches)
        self.batch_records.add(of, times=full)
        if rest:
            self.batch_records.add(rest)

    def called(self, records: int, *, padding: int) -> None:
        """Count the rows of a model call: those of records and those that fill it up."""
        self._rows = Sums(self._rows.part + padding, self._rows.whole + records + padding)

    def switched(self, seconds: float) -> None:
        """Note how long it took until something else served."""
        self.swap_seconds.labels("switching").observe(seconds)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time one step of one batch, which does not count where it raises."""
        return _Timed(self.stage_seconds[name], self._clock)

    def answered(self, said: Said, *, timestamps_ms: NDArray[np.int64]) -> None:
        """Note predictions: what was said, and the timestamps of their records; -1 stands for none."""
        self._unsure.answered += said.rows
        self._unsure.said.append(said)
        self._unsure.stamps_ms.append(timestamps_ms)

    def dead_lettered(self, rejects: Sequence[Reject]) -> None:
        """Note refused records."""
        self._unsure.refused.update((one.stage, one.reason) for one in rejects)

    def totals(self) -> Totals:
        """Return what was counted since the start."""
        return Totals(
            answered=self._answered, dead_lettered=self._dead_lettered, batches=self._batches, skipped=self._skipped
        )

    def skipped(self, records: int) -> None:
        """Note records without a value."""
        self._unsure.skipped += records

    def confirm(self, *, ago_s: float = 0.0) -> None:
        """Count what was noted: it stays, as was sure `ago_s` ago."""
        unsure, self._unsure = self._unsure, Unsure()
        self._answered += unsure.answered
        self._skipped += unsure.skipped
        self.produced_total.inc(unsure.answered)
        self.skipped_total.inc(unsure.skipped)
        for (stage, reason), count in unsure.refused.items():
            self._dead_lettered += count
            self.dead_letters_total.labels(stage, reason).inc(count)
        for said in unsure.said:
            self.scores.add(said)
        now_s = self._clock.wall_s() - ago_s
        for stamps_ms in unsure.stamps_ms:
            self._take(stamps_ms, now_s)

    def _take(self, stamps_ms: NDArray[np.int64], now_s: float) -> None:
        """Count the time from each record's timestamp until now."""
        if len(stamps_ms) <= FEW:
            for stamp_ms in stamps_ms.tolist():
                if stamp_ms >= 0:
                    self.latency_seconds.add(max(now_s - stamp_ms / MS_PER_S, 0.0))
            return
        known = stamps_ms[stamps_ms >= 0]
        self.latency_seconds.observe(np.maximum(now_s - known / MS_PER_S, 0.0))

    def discard(self) -> None:
        """Forget what was noted: it was rolled back."""
        self._unsure = Unsure()

    def _share(self, name: str, documentation: str, read: Callable[[], Sums]) -> RecentShare:
        share = RecentShare(read, clock=self._clock)
        Gauge(f"stream_infer_{name}", documentation, registry=self.registry).set_function(share.look)
        return share
