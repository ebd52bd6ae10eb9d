"""Canary: its guard is told of every batch, and stable takes over what it fails on."""

import logging
from collections.abc import Callable, Sequence

from stream_infer.clock import Clock
from stream_infer.model import ModelSlot
from stream_infer.model.serving import Guard, Serving
from stream_infer.pipeline.infer import Inferred, Served
from stream_infer.records import Records

log = logging.getLogger(__name__)


class CanaryJudge:
    """Stops a canary that its guard does not let pass; `serve` changes what serves and deals what is returned."""

    def __init__(self, slot: ModelSlot, *, clock: Clock, serve: Callable[[Serving, Sequence[Records]], None]) -> None:
        self._slot = slot
        self._clock = clock
        self._serve = serve

    def judge(self, inferred: Inferred) -> None:
        """Tell the canary's guard of a batch, and stop the canary when the guard says so."""
        guard = self._guard(inferred.served)
        reason = guard and guard.note(
            self._clock.monotonic_s(), records=inferred.given, errors=inferred.failed, non_finite=inferred.non_finite
        )
        if reason:
            self._stop(inferred.served, reason)

    def give_back(self, served: Served, reason: str, *, failed: int, returned: Sequence[Records]) -> None:
        """Let stable score what the canary cannot, and everything behind it, so that the order of each key is kept."""
        guard = self._guard(served)
        if guard and not guard.note(self._clock.monotonic_s(), records=failed, errors=failed, non_finite=0):
            guard.fail(reason)
        self._stop(served, reason, returned=returned)

    def _guard(self, served: Served) -> Guard | None:
        """Return who judges a batch's version: nobody when it is no canary any more."""
        serving = self._slot.serving
        return serving.guard if serving.canary is served.version else None

    def _stop(self, served: Served, reason: str, *, returned: Sequence[Records] = ()) -> None:
        """Let stable alone serve, under the same revision; where the canary has gone already, deal `returned`."""
        serving = self._slot.serving
        if serving.canary is served.version:
            name, fields = served.version.version, served.fields
            log.error("canary %s is stopped, stable scores its share: %s", name, reason, extra=fields)
            serving = serving.stable_alone()
        self._serve(serving, returned)
