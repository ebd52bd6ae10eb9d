"""Target: which state to go for now: the newest, or while nothing serves the newest that has not failed here."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from stream_infer.errors import Stop
from stream_infer.logs import Repeated
from stream_infer.rollout.fold import Folded
from stream_infer.rollout.ports import Origins
from stream_infer.rollout.record import Desired
from stream_infer.rollout.table import VersionTable

repeated = Repeated(logging.getLogger(__name__))


class Target:
    """Looks at what the log says and at what has failed here; the version of the settings is asked for once."""

    def __init__(self, origins: Origins, table: VersionTable) -> None:
        self._origins = origins
        self._table = table
        self._baseline: Desired | None = None

    def find(self, folded: Folded, *, serves: bool) -> Desired:
        """Return the state to go for; raises `Stop` when the log is empty and what the settings name will not load.

        `serves` says that something answers already: then the newest state counts whatever became of it.
        """
        newest = folded.current
        if newest is None:
            return self._first(serves=serves)
        if serves or not self._has_failed(newest):
            return newest
        good = (desired for desired in self._earlier(folded) if not self._has_failed(desired))
        return next(good, newest)

    def _first(self, *, serves: bool) -> Desired:
        baseline = self._named_by_settings()
        failure = self._table.failure(baseline.stable, revision=0)
        if not serves and failure is not None and failure.retry_at_s is None:
            raise Stop(failure.holding.life.reason or "the version cannot be loaded")
        return baseline

    def _earlier(self, folded: Folded) -> Iterator[Desired]:
        """Yield the earlier states, the newest first and without canaries, and what the settings name at last."""
        for one in reversed(folded.history[:-1]):
            yield replace(one.desired, canary=None, prepared=())
        try:
            yield self._named_by_settings()
        except Stop as reason:
            repeated.warning("no earlier version either: %s", reason, extra={"revision": 0})

    def _named_by_settings(self) -> Desired:
        if self._baseline is None:
            origins = self._origins
            self._baseline = Desired(model=origins.model, revision=0, stable=origins.baseline())
        return self._baseline

    def _has_failed(self, desired: Desired) -> bool:
        return self._table.failure(desired.stable, revision=desired.revision) is not None
