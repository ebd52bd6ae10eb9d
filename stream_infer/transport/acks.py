"""Stand-ins for the three books that Faust's Cython stream iterator writes into when a user's event is done.

It does what `Consumer.ack` does without calling it (faust/_cython/streams.pyx), so the books themselves must pass
an acknowledgement on.
"""

from collections.abc import Callable
from typing import Any

from faust.types import TP


class _AckList:
    def __init__(self, tp: TP, acknowledged: Callable[[TP, int], None]) -> None:
        self._tp = tp
        self._acknowledged = acknowledged

    def append(self, offset: int) -> None:
        """Pass one acknowledgement on."""
        self._acknowledged(self._tp, offset)


class AckLists(dict[TP, Any]):
    """`Consumer._acked`: appending an offset to a partition's list acknowledges it."""

    def __init__(self, acknowledged: Callable[[TP, int], None]) -> None:
        super().__init__()
        self._acknowledged = acknowledged

    def __missing__(self, tp: TP) -> _AckList:
        """Return a list that passes on what is appended."""
        return _AckList(tp, self._acknowledged)


class _NoIndex:
    def __contains__(self, offset: object) -> bool:
        return False

    def add(self, offset: int) -> None:
        """Keep nothing: the ledger knows what is acknowledged."""


class AckIndex(dict[TP, Any]):
    """`Consumer._acked_index`: every acknowledgement counts as new."""

    def __missing__(self, tp: TP) -> _NoIndex:
        """Return an empty index."""
        return _NoIndex()


class NoCommittedOffsets(dict[TP, Any]):
    """`Consumer._committed_offset`: Faust knows of no commit, so it never withholds an acknowledgement."""

    def __missing__(self, tp: TP) -> None:
        """Return None."""
