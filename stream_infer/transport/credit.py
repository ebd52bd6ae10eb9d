"""Back-pressure: how much may be between the poll and the delivery to the producer."""

import threading
from typing import Final

RESUME_FRACTION: Final = 0.5
POLL_FRACTION: Final = 0.25
POLLS_IN_FLIGHT: Final = 4
ENOUGH_RECORDS: Final = 512
"""Records in work from which on it pays to poll ahead; fewer where a batch is smaller."""


class Credit:
    """Counted limits shared by the consumer thread, which takes, and those who give back.

    Three things are limited: records and bytes, which the compute thread gives back, and polls that the event loop has
    not passed on yet. One poll may pass the byte limit by its own size, because sizes are known only once it was read.
    Room for less than a quarter of the records counts as none: a full queue would otherwise be topped up a batch at a
    time, with a Faust event for each. `enough` are records in work from which on it pays to poll ahead, see
    `wait_for_turn`.
    """

    def __init__(self, *, records: int, size_bytes: int, enough: int = ENOUGH_RECORDS) -> None:
        self._limit_records = records
        self._limit_bytes = size_bytes
        self._enough = enough
        self._records = 0
        self._bytes = 0
        self._polls = self._unscored = 0
        self._is_open = True
        self._changed = threading.Condition()

    @property
    def used_records(self) -> int:
        """Records taken and not given back."""
        return self._records

    @property
    def used_bytes(self) -> int:
        """Bytes taken and not given back."""
        return self._bytes

    def room_records(self) -> int:
        """Return how many records may be taken now; 0 when any limit is reached."""
        with self._changed:
            return self._room()

    def take(self, records: int, *, size_bytes: int) -> None:
        """Count what was polled."""
        with self._changed:
            self._records += records
            self._bytes += size_bytes

    def give(self, records: int, *, size_bytes: int) -> None:
        """Count what left the worker again, and wake a waiting consumer thread."""
        with self._changed:
            self._records -= records
            self._bytes -= size_bytes
            self._changed.notify_all()

    def close(self) -> None:
        """Let nothing be taken, whatever room there is."""
        with self._changed:
            self._is_open = False

    def open(self) -> None:
        """Let records be taken again, and wake a waiting consumer thread."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def take_poll(self, *, scored: bool) -> None:
        """Count a poll handed to the event loop; `scored` says that some of it is for the compute thread."""
        with self._changed:
            self._polls += 1
            self._unscored += scored

    def give_poll(self) -> None:
        """Count a poll that the event loop passed on, and wake a consumer thread that waits for that."""
        with self._changed:
            self._polls -= 1
            if self._polls == POLLS_IN_FLIGHT - 1:
                self._changed.notify_all()

    def give_turn(self, polls: int) -> None:
        """Count polls that the compute thread is through with, and wake a consumer thread that waits for that."""
        with self._changed:
            self._unscored -= polls
            self._changed.notify_all()

    def wait_for_turn(self, timeout_s: float) -> bool:
        """Wait until the compute thread is through with the polls before, or has enough; False when time is up first.

        While a few records are being scored, those that come meanwhile wait better in librdkafka's queue, from where
        one poll takes them all: each poll costs Faust and the consumer thread time that the compute thread needs.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._unscored or self._records >= self._enough, timeout_s)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until anything may be taken; False when `timeout_s` passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._room() > 0, timeout_s)

    def is_low(self) -> bool:
        """Whether use fell below half of the limits: the mark for polling again after a long stop."""
        with self._changed:
            return (
                self._room() > 0
                and self._records <= self._limit_records * RESUME_FRACTION
                and self._bytes <= self._limit_bytes * RESUME_FRACTION
            )

    def _room(self) -> int:
        if not self._is_open or self._bytes >= self._limit_bytes or self._polls >= POLLS_IN_FLIGHT:
            return 0
        free = self._limit_records - self._records
        return free if free >= self._limit_records * POLL_FRACTION else 0
