"""Standby: what is done between live batches for versions that do not serve: warm calls before, release after."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from stream_infer.errors import StreamInferError
from stream_infer.model import DeviceLost, LoadedVersion
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.calls import CallWatch
from stream_infer.pipeline.commit import NEVER

log = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 0.05
"""How long a version that is leased elsewhere may outlive its last lease."""


@dataclass(frozen=True, slots=True)
class _Warming:
    version: LoadedVersion
    sizes: deque[int]
    answer: "Future[None]"


class Standby:
    """Versions that stand by. Every method runs on the compute thread, which does one warm call at a time."""

    def __init__(self, watch: CallWatch) -> None:
        self._watch = watch
        self._warming: deque[_Warming] = deque()
        self._leaving: list[told.Release] = []

    def wait_s(self) -> float:
        """Return how long nothing needs to be done here; `NEVER` when nothing is left to do."""
        if self._warming:
            return 0.0
        return LOOK_AGAIN_S if self._leaving else NEVER

    def warm(self, request: told.Warm, sizes: Sequence[int]) -> None:
        """Queue a call at each of `sizes`."""
        self._warming.append(_Warming(request.version, deque(sizes), request.answer))

    def release(self, request: told.Release) -> None:
        """Give up what a version still waits for, and empty it when `release_unused` finds it unused."""
        for warming in self._warming:
            if warming.version is request.version:
                warming.answer.cancel()
        self._leaving.append(request)

    def call_once(self) -> None:
        """Make the next warm call, if any waits whose answer is still wanted."""
        while self._warming and self._warming[0].answer.cancelled():
            self._warming.popleft()
        if not self._warming:
            return
        warming = self._warming[0]
        try:
            if warming.sizes:
                with self._watch.calling():
                    warming.version.warm(warming.sizes.popleft())
        except DeviceLost:
            raise
        except StreamInferError as error:
            self._warming.popleft()
            told.refuse(warming.answer, error)
        else:
            if not warming.sizes:
                self._warming.popleft()
                told.reply(warming.answer, None)

    def release_unused(self, is_used: Callable[[LoadedVersion], bool]) -> None:
        """Empty the versions that were to be released and are used no more."""
        still_used = []
        for request in self._leaving:
            if is_used(request.version):
                still_used.append(request)
            else:
                request.version.release()
                name, version = request.version.name, request.version.version
                log.info("model %s version %s is released", name, version, extra={"version": version})
                told.reply(request.answer, None)
        self._leaving = still_used
