"""Outlet: answers leave the worker here, in order; what may not leave yet, or is refused too often, is held back."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from stream_infer.clock import Clock
from stream_infer.logs import Repeated
from stream_infer.model.serving import Variant
from stream_infer.pipeline.answer import Answered, Answers
from stream_infer.pipeline.commit import NEVER
from stream_infer.pipeline.infer import Inferred
from stream_infer.pipeline.lanes import NOW
from stream_infer.pipeline.limit import BUCKETS, Fate, RefusalLimit, Tally
from stream_infer.records import Records

log = logging.getLogger(__name__)
repeated = Repeated(log)

SAY_AFTER_S: Final = 1.0
FULL: Final = 0.5
"""Share of `batching.queue_limit_records` that may be held back: from there on the queue runs dry or full."""


class Outlet:
    """Sends answers, or holds them back. Used by the compute thread alone; any may read `stopped` and `held_records`.

    What may leave is cleared, and leaves at once, or when `look` or `flush` is called if `may_wait` says that other
    work is there until it can. `sending` is called before anything leaves, `sent` is told of each batch that has left.
    `stopped` says why nothing leaves until something else serves, None otherwise; then nothing is held here: what was
    is with whoever asked `take_back`.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        limit: RefusalLimit,
        most_records: int,
        clock: Clock,
        may_wait: Callable[[], bool],
        sending: Callable[[], None],
        sent: Callable[[Inferred], None],
    ) -> None:
        self._answers = answers
        self._limit = limit
        self._most_records = max(1, int(most_records * FULL))
        self._clock = clock
        self._may_wait = may_wait
        self._sending = sending
        self._sent = sent
        self._cleared: deque[Answered] = deque()
        self._held: deque[Answered] = deque()
        self._tally = Tally()
        self._since_s = self._look_s = 0.0
        self._said = False
        self.stopped: str | None = None

    @property
    def held_records(self) -> int:
        """Records whose answers are held back because too much is refused."""
        return self._tally.records

    @property
    def is_cleared(self) -> bool:
        """Whether answers wait for nothing but their turn to leave."""
        return bool(self._cleared)

    def due_s(self) -> float:
        """Return the monotonic time at which to look again; `NEVER` when nothing is here."""
        if self._cleared:
            return NOW
        return self._look_s if self._held else NEVER

    def put(self, inferred: Inferred) -> None:
        """Take the answers of a batch, and send everything that may go; what was cleared before leaves first."""
        answered = self._answers.encode(inferred)
        if inferred.served.variant is Variant.STABLE:
            # A canary has limits of its own.
            scored = inferred.given - inferred.refused
            self._limit.note_model(scored=scored, failed=inferred.refused)
            if scored:
                self._limit.note_model(scored=0, failed=inferred.refused_last)
        if not self._held:
            self._since_s = self._clock.monotonic_s()
        self._held.append(answered)
        self._tally += answered.tally
        self.flush()
        self._judge()

    def look(self) -> None:
        """Send what is cleared, if it may leave now, and judge again what is held."""
        self._leave()
        if self._held:
            self._judge()

    def flush(self) -> None:
        """Send what is cleared, whatever it has to wait for; it stays here when that raises."""
        if self._cleared:
            self._sending()
        while self._cleared:
            answered = self._cleared[0]
            # A transaction that breaks off leaves the batch here, for `take_back`.
            self._answers.send(answered)
            self._cleared.popleft()
            self._limit.note_sent(self._clock.monotonic_s(), answered.tally)
            self._sent(answered.inferred)

    def stop(self, reason: str, *, after: Inferred) -> None:
        """Let nothing leave until something else serves; `after` is the batch that gave the reason."""
        self.stopped = reason
        text = "nothing is scored until another revision serves or the worker is started again: %s"
        log.error(text, reason, extra=after.fields)

    def resume(self) -> None:
        """Forget what was refused: something else serves."""
        self._limit.clear()
        self.stopped = None

    def take_back(self) -> list[Records]:
        """Take out what is here, to be scored again: nothing of it was sent."""
        taken = [answered.inferred.records for answered in (*self._cleared, *self._held)]
        self._cleared.clear()
        self._held.clear()
        self._tally = Tally()
        self._said = False
        return taken

    def _judge(self) -> None:
        now_s = self._clock.monotonic_s()
        is_full = self._tally.records >= self._most_records
        match self._limit.judge(now_s, self._tally, since_s=self._since_s, is_full=is_full):
            case Fate.SEND:
                self._clear()
            case Fate.HOLD:
                self._hold(now_s)
            case Fate.STOP:
                self.stop(self._limit.describe(self._tally), after=self._held[-1].inferred)

    def _hold(self, now_s: float) -> None:
        self._look_s = now_s + self._limit.allowed.window_s / BUCKETS
        if not self._said and now_s >= self._since_s + SAY_AFTER_S:
            self._said = True
            why = self._limit.describe(self._tally)
            repeated.warning(
                "answers are held back, and with them their positions: %s", why, extra=self._held[-1].inferred.fields
            )

    def _clear(self) -> None:
        if self._said:
            newest = self._held[-1].inferred.fields
            repeated.info("answers of %d records are held back no longer", self._tally.records, extra=newest)
        self._said = False
        self._cleared.extend(self._held)
        self._held.clear()
        self._tally = Tally()
        self._leave()

    def _leave(self) -> None:
        if self._cleared and not self._may_wait():
            self.flush()
