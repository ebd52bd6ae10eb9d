"""The seam between the threads: what the consumer thread and the event loop tell the compute thread."""

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from stream_infer.records import Assigned, Partition, Positions, Records

if TYPE_CHECKING:
    import pyarrow as pa

    # The transport and the commands that use it import this module, and do without torch.
    from stream_infer.model import LoadedVersion, Serving
    from stream_infer.pipeline.infer import Inferred


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
    """Partitions are about to be revoked: deliver what was produced from them, answer their positions, forget them.

    `membership` is what a transaction commits with, see `Member`.
    """

    sources: Sequence[Partition]
    answer: "Future[Positions]"
    membership: object | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """The worker stops: finish all that is in hand, answer all positions, end. For `membership` see `Member`."""

    answer: "Future[Positions]"
    membership: object | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """This worker's membership of the group as of now, as librdkafka puts it; None when it is no member.

    It comes behind everything that was told before it was read, so that no transaction commits what was lost meanwhile.
    """

    membership: object | None


@dataclass(frozen=True, slots=True)
class Rewound:
    """Every partition that is owned is read again from its committed position."""

    assigned: Sequence[Assigned]


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


@dataclass(frozen=True, slots=True)
class Warm:
    """Call a version at the sizes that it will meet, between live batches; the answer comes after the last call.

    It carries `InferenceFailed` when the version fails.
    """

    version: "LoadedVersion"
    answer: "Future[None]"


@dataclass(frozen=True, slots=True)
class Serve:
    """Score with other versions from the next batch on; answered when they serve."""

    serving: "Serving"
    answer: "Future[None]"


@dataclass(frozen=True, slots=True)
class Release:
    """Empty a version that serves no more, once its last batch and its last lease are over; then answer."""

    version: "LoadedVersion"
    answer: "Future[None]"


@dataclass(frozen=True, slots=True)
class Score:
    """Score rows that did not come from Kafka by what is stable in `serving`, on which the asker holds a lease.

    `columns` hold no more rows than one call takes; `non_finite` as in the settings. A cancelled answer is not worked
    for. The answer carries `ModelBroken` when the model fails on everything.
    """

    serving: "Serving"
    columns: "pa.RecordBatch"
    non_finite: str | None
    answer: "Future[Inferred]"


Request = Settle | Drain | Warm | Serve | Release | Score
Message = Arrived | Begin | Rewound | Forget | Handed | Acknowledged | CommitAnswered | Member | Request
Answer = TypeVar("Answer")


def reply(answer: "Future[Answer]", result: Answer) -> None:
    """Answer a request, unless it was refused or given up meanwhile."""
    with suppress(InvalidStateError):
        answer.set_result(result)


def refuse(answer: "Future[Any]", reason: BaseException) -> None:
    """Answer a request with why it was not done, unless it was answered or given up meanwhile."""
    with suppress(InvalidStateError):
        answer.set_exception(reason)


class Inbox:
    """A queue that ends: once closed, every request is refused with the reason instead of waiting for ever.

    That holds for requests that were taken out and not answered yet too.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unanswered: list[Future[Any]] = []
        self._closed_by: BaseException | None = None

    def put(self, message: Message) -> None:
        """Queue a message; after `close` it is dropped."""
        self._queue.put(message)
        if self._closed_by is not None:
            self._end(self._closed_by)

    def settle(self, sources: Sequence[Partition], membership: object | None = None) -> "Future[Positions]":
        """Ask for partitions to be settled."""
        answer: Future[Positions] = Future()
        self._ask(Settle(sources, answer, membership))
        return answer

    def drain(self, membership: object | None = None) -> "Future[Positions]":
        """Ask for everything to be finished."""
        answer: Future[Positions] = Future()
        self._ask(Drain(answer, membership))
        return answer

    def warm(self, version: "LoadedVersion") -> "Future[None]":
        """Ask for a version to be called at the sizes that it will meet; a cancelled answer ends the calls."""
        answer: Future[None] = Future()
        self._ask(Warm(version, answer))
        return answer

    def serve(self, serving: "Serving") -> "Future[None]":
        """Ask for other versions to serve."""
        answer: Future[None] = Future()
        self._ask(Serve(serving, answer))
        return answer

    def release(self, version: "LoadedVersion") -> "Future[None]":
        """Ask for a version's memory to be given back."""
        answer: Future[None] = Future()
        self._ask(Release(version, answer))
        return answer

    def score(self, serving: "Serving", columns: "pa.RecordBatch", *, non_finite: str | None) -> "Future[Inferred]":
        """Ask for rows that did not come from Kafka to be scored; see `Score`."""
        answer: Future[Inferred] = Future()
        self._ask(Score(serving, columns, non_finite, answer))
        return answer

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
        self._end(reason)

    def _ask(self, request: Request) -> None:
        with self._lock:
            self._unanswered = [*(one for one in self._unanswered if not one.done()), request.answer]
        self.put(request)

    def _end(self, reason: BaseException) -> None:
        while self.get(0) is not None:
            continue
        with self._lock:
            unanswered, self._unanswered = self._unanswered, []
        for answer in unanswered:
            refuse(answer, reason)
