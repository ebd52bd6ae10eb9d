"""Output producers without a broker: one that delivers, one with transactions."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto

from stream_infer.errors import Stop, StreamInferError, Undone
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.records import Headers, Partition, Positions


@dataclass(frozen=True, slots=True)
class Delivered:
    """One record as a consumer would see it; `partition` is -1 where the partitioner decided."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers


@dataclass
class FakeProducer:
    """Delivers at `flush`, and not before. `partitions` are the topics that exist.

    What is sent to a topic that does not exist fails for good, as on a broker: the next call raises `Stop`.
    `losses` counts the next looks and flushes at which the producer turns out to be lost, with what was sent.
    """

    partitions: dict[str, int]
    max_message_bytes: int = 1_000_000
    losses: int = 0
    delivered: list[Delivered] = field(default_factory=list)
    sent: list[Delivered] = field(default_factory=list)

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Queue rows; refuse those over `max_message_bytes`."""
        unsent = []
        for row, value in enumerate(outgoing.values):
            if len(value or b"") + len(outgoing.keys[row] or b"") > self.max_message_bytes:
                unsent.append(Unsent(row, f"{len(value or b'')} bytes for {outgoing.topic} are too many"))
            else:
                self.sent.append(_delivered(outgoing, row))
        return unsent

    def look(self) -> None:
        """Raise `Undone` when it is lost."""
        if self.losses:
            self.losses -= 1
            self.sent = []
            raise Undone("the producer is lost, a new one takes over")

    def flush(self) -> None:
        """Deliver what was sent; raises `Stop` for a topic that does not exist, and `Undone` as `look` does."""
        self.look()
        for one in self.sent:
            if one.topic not in self.partitions:
                message = f"cannot write to {one.topic}: there is no such topic"
                raise Stop(message)
        self.delivered += self.sent
        self.sent = []


class Fate(Enum):
    """What becomes of a transactional call: done, rolled back, or not known, with the one or the other behind it."""

    DONE = auto()
    ROLLED_BACK = auto()
    UNKNOWN_DONE = auto()
    UNKNOWN_ROLLED_BACK = auto()


class _Outcome(Future[float]):
    """What becomes of a call that ends when it is told to, or when somebody waits for it."""

    def __init__(self, end: Callable[[], None], *, waited_for: Callable[[], None], is_stuck: bool) -> None:
        super().__init__()
        self._end = end
        self._waited_for = waited_for
        self.is_stuck = is_stuck

    def settle(self) -> None:
        """Let the call end."""
        if self.done():
            return
        try:
            self._end()
        except StreamInferError as error:
            self.set_exception(error)
        else:
            self.set_result(0.0)

    def result(self, timeout: float | None = None) -> float:
        """Return the seconds that the call took, or raise what it raised; `TimeoutError` while nobody answers."""
        if timeout is not None and self.is_stuck:
            raise TimeoutError
        if not self.done():
            self._waited_for()
        self.settle()
        return super().result(timeout)


class FakeTransactions(FakeProducer):
    """Delivers at `commit`, together with positions, which `committed` holds; `fates` are of the next commits.

    `breaks` counts the next calls of `send` during which the transaction turns out to be broken off. While it `is_late`
    a commit lasts until `answer` is called, or somebody waits for it; a call meanwhile is an error of the caller's.
    While it `is_stuck` besides, nobody who waits for a limited time sees the end of it. `waited_for` is called by who
    waits.
    """

    def __init__(self, partitions: dict[str, int], *, fates: Iterable[Fate] = ()) -> None:
        super().__init__(partitions)
        self.fates = deque(fates)
        self.committed: dict[Partition, int] = {}
        self.memberships: list[object] = []
        self.aborts = 0
        self.breaks = 0
        self.is_late = self.is_stuck = False
        self.waited_for: Callable[[], None] = lambda: None
        self._is_open = False
        self._is_ready = True
        self._under_way: _Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is something to commit or to abort."""
        self._refuse_another()
        return self._is_open

    def answer(self) -> None:
        """Let a commit end that is under way."""
        if self._under_way is not None:
            self._under_way.settle()

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Queue rows in the open transaction or a new one."""
        self._begin()
        if self.breaks:
            self.breaks -= 1
            raise Undone("the transaction was broken off")
        return super().send(outgoing)

    def look(self) -> None:
        """Raise `Undone` when it is lost, and the open transaction with it."""
        self._refuse_another()
        if self.losses:
            self._end(is_ready=False)
        super().look()

    def commit(self, positions: Positions, membership: object, *, within_s: float) -> Future[float]:
        """Begin to deliver what was sent and to keep the positions, which fails as the next fate says."""
        if within_s <= 0:
            raise ValueError(f"within_s is {within_s}, expected time to commit in")
        self._begin()
        self._under_way = outcome = _Outcome(
            lambda: self._commit(positions, membership), waited_for=self.waited_for, is_stuck=self.is_stuck
        )
        if not self.is_late:
            self.answer()
        return outcome

    def _commit(self, positions: Positions, membership: object) -> None:
        self._under_way = None
        fate = self.fates.popleft() if self.fates else Fate.DONE
        if fate in {Fate.DONE, Fate.UNKNOWN_DONE}:
            self.flush()
            self.memberships.append(membership)
            self.committed.update({source: position.offset for source, position in positions.items()})
        if fate is Fate.ROLLED_BACK:
            raise Undone("the group has another generation")
        self._end(is_ready=fate is Fate.DONE)
        if fate is not Fate.DONE:
            raise Undone("the brokers did not answer in time")

    def abort(self, *, within_s: float) -> None:
        """Drop what was sent."""
        del within_s
        self.aborts += self.is_open
        self._end(is_ready=self._is_ready)

    def recover(self, *, within_s: float) -> bool:
        """Make another producer."""
        del within_s
        self._is_ready = True
        return True

    def _begin(self) -> None:
        self._refuse_another()
        if not self._is_ready:
            raise Undone("there is no producer yet")
        self._is_open = True

    def _refuse_another(self) -> None:
        if self._under_way is not None:
            raise RuntimeError("a commit is under way, expected no other call before it has ended")

    def _end(self, *, is_ready: bool) -> None:
        self.sent = []
        self._is_open, self._is_ready = False, is_ready


def _delivered(outgoing: Outgoing, row: int) -> Delivered:
    return Delivered(
        topic=outgoing.topic,
        partition=outgoing.partitions[row] if outgoing.partitions else -1,
        key=outgoing.keys[row],
        value=outgoing.values[row],
        timestamp_ms=int(outgoing.timestamps_ms[row]),
        headers=tuple((outgoing.headers[row] if outgoing.headers else None) or ()),
    )
