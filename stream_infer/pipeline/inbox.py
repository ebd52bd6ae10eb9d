"""The seam between the threads: what the consumer thread and the event loop tell the compute thread."""

import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from stream_infer.records import Assigned, Partition, Positions, Records


@dataclass(frozen=True, slots=True)
class Arrived:
    """One poll; `sequence` grows by one from poll to poll, so that a lost one is noticed."""

    sequence: int
    records: Records


@dataclass(frozen=True, slots=True)
class Begin:
    """Partitions were assigned, or are read again from another position."""

    assigned: Sequence[Assigned]


@dataclass(frozen=True, slots=True)
class Forget:
    """Partitions were lost: nothing of them may be committed."""

    sources: Sequence[Partition]


@dataclass(frozen=True, slots=True)
class Settle:
    """Partitions are about to be revoked: deliver what was produced from them, answer their positions, forget them."""

    sources: Sequence[Partition]
    answer: "Future[Positions]"


@dataclass(frozen=True, slots=True)
class Drain:
    """The worker stops: finish all that is in hand, answer all positions, end."""

    answer: "Future[Positions]"


@dataclass(frozen=True, slots=True)
class Handed:
    """Records went to an agent of the user's own."""

    source: Partition
    epoch: int
    offsets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A user's agent is done with one record."""

    source: Partition
    offset: int


@dataclass(frozen=True, slots=True)
class CommitAnswered:
    """The broker answered a commit: `offsets` are those that it took."""

    offsets: Mapping[Partition, int]


Message = Arrived | Begin | Forget | Settle | Drain | Handed | Acknowledged | CommitAnswered


class Inbox:
    """A queue that ends: once closed, every request is refused with the reason instead of waiting for ever."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._closed_by: BaseException | None = None

    def put(self, message: Message) -> None:
        """Queue a message; after `close` a request is answered with the reason at once."""
        self._queue.put(message)
        if self._closed_by is not None:
            self._refuse_all(self._closed_by)

    def settle(self, sources: Sequence[Partition]) -> "Future[Positions]":
        """Ask for partitions to be settled."""
        return self._ask(Settle(sources, Future()))

    def drain(self) -> "Future[Positions]":
        """Ask for everything to be finished."""
        return self._ask(Drain(Future()))

    def get(self, timeout_s: float | None) -> Message | None:
        """Return the next message; None when `timeout_s` (None: no limit) passed first."""
        try:
            if timeout_s is not None and timeout_s <= 0:
                return self._queue.get_nowait()
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self, reason: BaseException) -> None:
        """Refuse all requests from now on: the compute thread has ended."""
        self._closed_by = reason
        self._refuse_all(reason)

    def _ask(self, request: Settle | Drain) -> "Future[Positions]":
        self.put(request)
        return request.answer

    def _refuse_all(self, reason: BaseException) -> None:
        while (message := self.get(0)) is not None:
            if isinstance(message, Settle | Drain) and not message.answer.done():
                message.answer.set_exception(reason)
