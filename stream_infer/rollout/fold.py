"""Fold: which records of the control log count. Every worker folds the same log and comes to the same state."""

from dataclasses import dataclass, replace
from enum import StrEnum

from stream_infer.rollout.record import BadRecord, Desired, Draft, read_draft


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the control log as the broker gave it; `timestamp_ms` is the broker's, since the epoch."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class Outcome(StrEnum):
    """What became of an entry."""

    APPLIED = "applied"
    STALE = "stale"
    INVALID = "invalid"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the entry at `offset`; `revision` is the one it asked for, where it could be read.

    `reason` is one sentence for what is stale or invalid, else None.
    """

    outcome: Outcome
    offset: int
    revision: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A state that counted, and where in the log it stands."""

    offset: int
    timestamp_ms: int
    desired: Desired


@dataclass(frozen=True, slots=True)
class Folded:
    """The log up to `next_offset`, as a worker of `application_id` that serves `model` reads it.

    `history` holds the states that counted, in the order of the log; their revisions grow.
    """

    model: str
    application_id: str
    history: tuple[Counted, ...] = ()
    next_offset: int = 0

    @property
    def current(self) -> Desired | None:
        """The state that counted last; None before the first."""
        return self.history[-1].desired if self.history else None

    @property
    def revision(self) -> int:
        """The revision that counted last; 0 before the first."""
        return self.history[-1].desired.revision if self.history else 0


def fold(folded: Folded, entry: Entry) -> tuple[Folded, Verdict]:
    """Return the log with one entry more, and what became of the entry; offsets may have gaps.

    Raises ValueError for an entry that lies before `folded.next_offset`.
    """
    if entry.offset < folded.next_offset:
        raise ValueError(f"the entry is at offset {entry.offset}, expected {folded.next_offset} or later")
    heard = replace(folded, next_offset=entry.offset + 1)
    try:
        desired = _desired(folded, entry)
    except BadRecord as reason:
        return heard, Verdict(Outcome.INVALID, entry.offset, reason=str(reason))
    if desired is None:
        return heard, Verdict(Outcome.OTHER, entry.offset)
    if desired.revision <= folded.revision:
        return heard, Verdict(Outcome.STALE, entry.offset, desired.revision, _stale(folded, desired))
    counted = Counted(entry.offset, entry.timestamp_ms, desired)
    return replace(heard, history=(*folded.history, counted)), Verdict(Outcome.APPLIED, entry.offset, desired.revision)


def _desired(folded: Folded, entry: Entry) -> Desired | None:
    """Return the state that an entry asks for; None when it is for others. Raises `BadRecord`."""
    draft = _draft(folded, entry)
    if draft is None or draft.application_id not in {None, folded.application_id}:
        return None
    if entry.key is not None and entry.key != draft.model.encode():
        raise BadRecord(f"the key is {entry.key[:60]!r}, expected the model's name {draft.model!r:.60}")
    return draft.desired(next_revision=folded.revision + 1)


def _draft(folded: Folded, entry: Entry) -> Draft | None:
    """Return an entry that names our model, in its key or its value; None for another. Raises `BadRecord`.

    What names no model at all, by a null key and a value that cannot be read, may be ours and is refused.
    """
    ours = folded.model.encode()
    try:
        draft = _read(entry.value)
    except BadRecord:
        if entry.key in {None, ours}:
            raise
        return None
    return draft if ours in {entry.key, draft.model.encode()} else None


def _read(value: bytes | None) -> Draft:
    if value is None:
        raise BadRecord("the value is null, expected the whole desired state")
    return read_draft(value)


def _stale(folded: Folded, desired: Desired) -> str:
    last = folded.history[-1]
    won = f"revision {last.desired.revision} counted at offset {last.offset}"
    return f"revision is {desired.revision}, expected more than {last.desired.revision}: {won}"
