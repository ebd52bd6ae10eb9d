"""What the consumer thread shares with the rest of the worker."""

import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stream_infer.clock import Clock
from stream_infer.pipeline.inbox import Inbox
from stream_infer.records import Partition, Position, Positions
from stream_infer.transport.credit import Credit
from stream_infer.transport.gate import Gate


class CommitQueue:
    """Positions that the compute thread wants committed, until the consumer thread's next turn."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Positions] = queue.SimpleQueue()

    def commit(self, positions: Positions) -> None:
        """Ask for positions to be committed, without waiting; see `PositionCommitter`."""
        self._queue.put(positions)

    def take(self) -> Positions:
        """Return everything asked for since the last call; of one partition the newest."""
        newest: dict[Partition, Position] = {}
        while not self._queue.empty():
            newest.update(self._queue.get_nowait())
        return newest


class Credentials(Protocol):
    """Secrets in files that may change while the worker runs; one for each client."""

    def refresh(self, client: Any) -> bool:
        """Give `client` the new secrets if a file changed since the last call; say whether one did."""
        ...


@dataclass(slots=True)
class PumpState:
    """How the consumer thread is doing: written by it alone, read by the web pages.

    `last_turn_s` is monotonic; `joined` says that the group gave this worker a member id.
    """

    joined: bool = False
    last_turn_s: float = 0.0
    assigned: tuple[Partition, ...] = ()
    positions_lost: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """What the pump reads for: its consumer properties, its limits, and who is told."""

    properties: Mapping[str, object]
    reset: str
    credit: Credit
    inbox: Inbox
    clock: Clock
    credentials: Credentials | None = None
    gate: Gate | None = None
    commits: CommitQueue = field(default_factory=CommitQueue)
    state: PumpState = field(default_factory=PumpState)
