"""Positions: how far every owned partition is read, and how far it is done. Pure: fed with values, asked for values.

One owner, the compute thread. What is committed is the last finished row + 1 of the unbroken run, never an offset
that a rebalance or an acknowledgement brought. While one batcher serves, rows are finished in the order in which they
were read; a canary's rows overtake, and are remembered one by one until the run reaches them.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_infer.errors import Stop
from stream_infer.records import Assigned, Mark, Partition, Position, Records, Run


@dataclass(slots=True)
class _Unfinished:
    """Rows of one partition that are read and not finished: `reads` from row `cursor` of the first on.

    `stamps` are the timestamps of each read; `ahead` are offsets that were
    finished while an earlier row was not.
    """

    reads: deque[NDArray[np.int64]] = field(default_factory=deque)
    stamps: deque[NDArray[np.int64]] = field(default_factory=deque)
    cursor: int = 0
    ahead: set[int] = field(default_factory=set)

    def oldest_ms(self) -> int | None:
        """Return the timestamp of the first row; None where there is no row, or no timestamp."""
        try:
            stamp_ms = int(self.stamps[0][self.cursor])
        except IndexError:
            return None
        return stamp_ms if stamp_ms >= 0 else None

    def finish(self, offsets: NDArray[np.int64]) -> int | None:
        """Finish rows; return the last offset of the unbroken run when that grew."""
        if not self.ahead and self._are_next(offsets):
            self._pass(len(offsets))
            return int(offsets.item(-1))
        self.ahead.update(offsets.tolist())
        return self._pass_finished()

    def _are_next(self, offsets: NDArray[np.int64]) -> bool:
        """Whether these are the next rows of one read: all ascend, so that first, last and count tell."""
        head, last = self.reads[0] if self.reads else offsets[:0], self.cursor + len(offsets) - 1
        if last >= len(head) or head.item(self.cursor) != offsets.item(0):
            return False
        return bool(head.item(last) == offsets.item(-1))

    def _pass_finished(self) -> int | None:
        passed: int | None = None
        while self.reads and self.ahead:
            # No more rows than are ahead can be passed, however long the read is.
            reachable = self.reads[0][self.cursor : self.cursor + len(self.ahead)].tolist()
            unbroken = next((row for row, offset in enumerate(reachable) if offset not in self.ahead), len(reachable))
            if not unbroken:
                break
            self.ahead.difference_update(reachable[:unbroken])
            passed = reachable[unbroken - 1]
            self._pass(unbroken)
        return passed

    def _pass(self, rows: int) -> None:
        self.cursor += rows
        if self.cursor == len(self.reads[0]):
            self.reads.popleft()
            self.stamps.popleft()
            self.cursor = 0


@dataclass(slots=True)
class _Track:
    epoch: int
    next_offset: int | None
    done: int | None = None
    committed: int | None = None
    unfinished: _Unfinished = field(default_factory=_Unfinished)
    waiting: deque[int] = field(default_factory=deque)
    acked: set[int] = field(default_factory=set)

    def mark(self) -> Mark:
        unfinished = self.unfinished
        return Mark(self.done, self.next_offset, bool(unfinished.reads or self.waiting), unfinished.oldest_ms())


class Ledger:
    """The positions of the partitions that this worker owns."""

    def __init__(self) -> None:
        self._tracks: dict[Partition, _Track] = {}

    def assign(self, assigned: Iterable[Assigned]) -> None:
        """Begin partitions, or begin them again, under their new epochs.

        A start that the group never committed is a position to commit: whoever owns the partition next must not
        choose another one, or what arrives in between is never answered.
        """
        for one in assigned:
            committed = one.offset if one.committed else None
            self._tracks[one.source] = _Track(one.epoch, one.offset, done=one.offset, committed=committed)

    def forget(self, sources: Iterable[Partition]) -> None:
        """Drop partitions: their rows are void and nothing of them is committed any more."""
        for source in sources:
            self._tracks.pop(source, None)

    def sources(self) -> list[Partition]:
        """Return the partitions that are tracked now."""
        return list(self._tracks)

    def is_valid(self, run: Run) -> bool:
        """Whether the run was read under the current epoch of its partition."""
        track = self._tracks.get(run.source)
        return track is not None and track.epoch == run.epoch

    def read(self, records: Records) -> None:
        """Note rows as read; all their runs are valid.

        Raises `Stop` for a row below the next expected offset: it would be scored twice. A row above it is a gap
        that compaction, transaction markers or retention left, and allowed.
        """
        for run in records.runs:
            track = self._tracks[run.source]
            first = int(records.offsets[run.start])
            if track.next_offset is not None and first < track.next_offset:
                message = f"{run.source} delivered offset {first} again: expected {track.next_offset} or later"
                raise Stop(message)
            track.next_offset = int(records.offsets[run.stop - 1]) + 1
            track.unfinished.reads.append(records.offsets[run.start : run.stop])
            track.unfinished.stamps.append(records.timestamps_ms[run.start : run.stop])

    def finish(self, records: Records) -> None:
        """Note rows that were read as done: each has been answered, dead-lettered or skipped by policy."""
        for run in records.runs:
            track = self._tracks.get(run.source)
            if track is not None and track.epoch == run.epoch:
                last = track.unfinished.finish(records.offsets[run.start : run.stop])
                track.done = track.done if last is None else last + 1

    def marks(self) -> dict[Partition, Mark]:
        """Return how every partition stands. Any thread may ask: the answer may then be a batch old."""
        return {source: track.mark() for source, track in self._tracks.copy().items()}

    def has_gaps(self, sources: Iterable[Partition]) -> bool:
        """Whether rows of `sources` are done beyond the unbroken run: whoever reads on from there repeats them."""
        tracks = (self._tracks.get(source) for source in sources)
        return any(track is not None and track.unfinished.ahead for track in tracks)

    def deliver(self, source: Partition, *, epoch: int, offsets: Iterable[int]) -> None:
        """Note records handed to an agent of the user's own, which acknowledges them one by one."""
        track = self._tracks.get(source)
        if track is not None and track.epoch == epoch:
            track.waiting.extend(offsets)

    def acknowledge(self, source: Partition, offset: int) -> None:
        """Note one acknowledgement; the position moves over the unbroken run of them."""
        track = self._tracks.get(source)
        if track is None:
            return
        track.acked.add(offset)
        while track.waiting and track.waiting[0] in track.acked:
            done = track.waiting.popleft()
            track.acked.discard(done)
            track.done = done + 1

    def uncommitted(self, sources: Iterable[Partition] | None = None) -> dict[Partition, Position]:
        """Return the positions that moved since they were last committed, of `sources` or of all."""
        chosen = self._tracks if sources is None else sources
        moved = ((source, self._tracks[source]) for source in chosen if source in self._tracks)
        return {
            source: Position(track.epoch, track.done)
            for source, track in moved
            if track.done is not None and track.done != track.committed
        }

    def confirm(self, source: Partition, offset: int) -> None:
        """Note that the broker holds `offset` as the committed position of `source`."""
        track = self._tracks.get(source)
        if track is not None:
            track.committed = offset
