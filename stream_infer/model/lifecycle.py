"""The life of a version in a worker, as a table of legal moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stream_infer.errors import StreamInferError


class State(StrEnum):
    """Where a version is in its life."""

    FETCHING = "FETCHING"
    VERIFYING = "VERIFYING"
    LOADING = "LOADING"
    WARMING = "WARMING"
    READY = "READY"
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    GONE = "GONE"
    FAILED = "FAILED"


MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.FETCHING: frozenset({State.VERIFYING, State.FAILED, State.GONE}),
    State.VERIFYING: frozenset({State.LOADING, State.FAILED, State.GONE}),
    State.LOADING: frozenset({State.WARMING, State.FAILED, State.GONE}),
    State.WARMING: frozenset({State.READY, State.FAILED, State.GONE}),
    State.READY: frozenset({State.ACTIVE, State.GONE}),
    State.ACTIVE: frozenset({State.RETIRING}),
    State.RETIRING: frozenset({State.ACTIVE, State.GONE}),
    State.GONE: frozenset(),
    State.FAILED: frozenset(),
}


class IllegalMove(StreamInferError):
    """A version was to move where the table does not lead."""


@dataclass(frozen=True, slots=True)
class Life:
    """A state, since when (wall-clock seconds), and why where that needs a word."""

    state: State
    since_s: float
    reason: str | None = None

    def move(self, to: State, *, at_s: float, reason: str | None = None) -> "Life":
        """Return the life in another state; raises `IllegalMove` naming both."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"a version cannot go from {self.state} to {to}")
        return Life(to, at_s, reason)
