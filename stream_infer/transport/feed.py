"""What the consumer thread shares with the rest of the worker."""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stream_infer.clock import Clock
from stream_infer.pipeline.inbox import Inbox
from stream_infer.records import End, Partition, Position, Positions
from stream_infer.transport.credit import Credit
from stream_infer.transport.gate import Gate


class CommitQueue:
    """What the compute thread wants of the consumer thread, until its next turn; see `PositionCommitter`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Positions] = queue.SimpleQueue()
        self._membership = threading.Event()
        self._rewind = threading.Event()

    def ask_membership(self) -> None:
        """Ask for the group's view of this worker, without waiting."""
        self._membership.set()

    def rewind(self) -> None:
        """Ask for every partition to be read again from its committed position, without waiting."""
        self._rewind.set()

    def take_membership(self) -> bool:
        """Say whether the membership was asked for since the last call."""
        return _take(self._membership)

    def take_rewind(self) -> bool:
        """Say whether a rewind was asked for since the last call."""
        return _take(self._rewind)

    def commit(self, positions: Positions) -> None:
        """Ask for positions to be committed, without waiting; see `PositionCommitter`."""
        self._queue.put(positions)

    def take(self) -> Positions:
        """Return everything asked for since the last call; of one partition the newest."""
        newest: dict[Partition, Position] = {}
        while not self._queue.empty():
            newest.update(self._queue.get_nowait())
        return newest


def _take(asked: threading.Event) -> bool:
    was_asked = asked.is_set()
    if was_asked:
        asked.clear()
    return was_asked


class Credentials(Protocol):
    """Secrets in files that may change while the worker runs; one for each client."""

    def refresh(self, client: Any) -> bool:
        """Give `client` the new secrets if a file changed since the last call; say whether one did."""
        ...

    def give(self, client: Any) -> None:
        """Give a client that is made anew the secrets as they are now."""
        ...


@dataclass(slots=True)
class PumpState:
    """How the consumer thread is doing: written by it alone, read by the web pages.

    `last_turn_s` and `last_poll_s` are monotonic; `joined` says that this worker is in a generation of the group.
    `ends` are offsets that positions can reach, as of librdkafka's last statistics; a mapping never changes, a new one
    takes its place. `commits` counts by outcome, `rebalances` by kind.
    """

    joined: bool = False
    last_turn_s: float = 0.0
    last_poll_s: float | None = None
    assigned: tuple[Partition, ...] = ()
    positions_lost: int = 0
    ends: Mapping[Partition, End] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=lambda: {"committed": 0, "refused": 0})
    rebalances: dict[str, int] = field(default_factory=lambda: {"assigned": 0, "revoked": 0, "lost": 0})


@dataclass(frozen=True, slots=True)
class Feed:
    """What the pump reads for: its consumer properties, its limits, and who is told.

    `reset` says where to start without a committed position; topics in `read_whole` start at their beginning.
    """

    properties: Mapping[str, object]
    reset: str
    read_whole: frozenset[str]
    credit: Credit
    inbox: Inbox
    clock: Clock
    credentials: Credentials | None = None
    gate: Gate | None = None
    commits: CommitQueue = field(default_factory=CommitQueue)
    state: PumpState = field(default_factory=PumpState)
