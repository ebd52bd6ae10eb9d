"""The demo's script: what its operator says when, and how each word ended. Pure: it is told what the worker says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stream_infer.demo.cache import BETTER_VERSION, BROKEN_VERSION
from stream_infer.rollout import operate
from stream_infer.rollout.fold import Folded
from stream_infer.rollout.operate import Issued
from stream_infer.rollout.record import Desired, VersionRef
from stream_infer.rollout.status import VersionStatus, WorkerStatus

# Names of `model.lifecycle.State`, which is not imported: with it comes torch, which a demo does not need.
ACTIVE: Final = "ACTIVE"
FAILED: Final = "FAILED"

ISSUED: Final = Issued(by="stream-infer demo")
CANARY_HUNDREDTHS: Final = 2000
LONGEST_S: Final = 30.0
"""A longer demo rolls as early as one of this length."""
REST_SHARE: Final = 0.12
"""Between the end of a step and the next one lies this part of the sending time at least, so that both are seen."""
AFTERMATH_S: Final = 1.0
"""Versions still count as rolling for so long after a step's end."""

Word = Callable[[Folded], Desired]


@dataclass(frozen=True, slots=True)
class Step:
    """One word of the operator, said when `share` of the sending time has passed and the one before has ended.

    The worker is expected to let `version` answer as `variant`, or to refuse it where `variant` is None.
    """

    share: float
    version: str
    variant: str | None
    what: str
    goes_well: str
    word: Word


@dataclass(frozen=True, slots=True)
class Ending:
    """How a step ended, in one sentence; `as_meant` is False when the worker did otherwise than it should."""

    step: Step
    sentence: str
    as_meant: bool


def _canary(log: Folded) -> Desired:
    return operate.canary(log, VersionRef(BETTER_VERSION), hundredths=CANARY_HUNDREDTHS, issued=ISSUED)


def _promote(log: Folded) -> Desired:
    return operate.promote(log, issued=ISSUED)


def _switch_to_broken(log: Folded) -> Desired:
    return operate.switch(log, VersionRef(BROKEN_VERSION), issued=ISSUED)


STEPS: Final = (
    Step(
        share=0.05,
        version=BETTER_VERSION,
        variant="canary",
        what=f"version {BETTER_VERSION} as canary for {CANARY_HUNDREDTHS / 100:g} % of the keys",
        goes_well=f"version {BETTER_VERSION} answers its share",
        word=_canary,
    ),
    Step(
        share=0.4,
        version=BETTER_VERSION,
        variant="stable",
        what=f"version {BETTER_VERSION} promoted",
        goes_well=f"version {BETTER_VERSION} answers everything",
        word=_promote,
    ),
    Step(
        share=0.55,
        version=BROKEN_VERSION,
        variant=None,
        what=f"version {BROKEN_VERSION}, which is broken, for everything",
        goes_well=f"version {BETTER_VERSION} goes on",
        word=_switch_to_broken,
    ),
)


@dataclass(frozen=True, slots=True)
class _Begun:
    step: Step
    revision: int
    at_s: float


class Script:
    """Takes the steps one after the other; times are seconds since the first event, which are sent for `seconds`.

    After a step that ended otherwise than it should there are no more.
    """

    def __init__(self, seconds: float, *, steps: tuple[Step, ...] = STEPS) -> None:
        self._seconds = min(seconds, LONGEST_S)
        self._to_come = list(steps)
        self._begun: _Begun | None = None
        self._ended_s: float | None = None
        self.went_wrong: Ending | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the worker has still to answer a step."""
        return self._begun is not None

    @property
    def left_out(self) -> tuple[Step, ...]:
        """The steps that did not come to an end."""
        return (*([self._begun.step] if self._begun else []), *self._to_come)

    def is_rolling(self, now_s: float) -> bool:
        """Say whether a step is under way, or has just ended."""
        return self.is_under_way or (self._ended_s is not None and now_s < self._ended_s + AFTERMATH_S)

    def due(self, now_s: float) -> Step | None:
        """Return the step to be said now; None when there is none yet."""
        if self._begun or self.went_wrong or not self._to_come:
            return None
        rested_s = 0.0 if self._ended_s is None else self._ended_s + REST_SHARE * self._seconds
        first = self._to_come[0]
        return first if now_s >= max(first.share * self._seconds, rested_s) else None

    def begin(self, step: Step, *, revision: int, now_s: float) -> None:
        """Note that a step that was due is said, as this revision."""
        self._to_come.remove(step)
        self._begun = _Begun(step, revision, now_s)

    def hear(self, status: WorkerStatus, *, now_s: float) -> Ending | None:
        """Return the end of the step under way when the worker says so; None for other news."""
        begun = self._begun
        ending = _ending(begun, status, now_s=now_s) if begun else None
        if ending is not None:
            self._begun, self._ended_s = None, now_s
            self.went_wrong = None if ending.as_meant else ending
        return ending


def _ending(begun: _Begun, status: WorkerStatus, *, now_s: float) -> Ending | None:
    step = begun.step
    if status.tripped is not None:
        return Ending(step, f"the canary was stopped by the worker: {status.tripped}", as_meant=False)
    rows = [one for one in status.versions if one.version == step.version]
    if failed := next((one for one in rows if one.state == FAILED), None):
        return _refused(step, failed)
    if status.applied_revision < begun.revision or not any(_serves(one, step) for one in rows):
        return None
    if step.variant is None:
        return Ending(step, f"version {step.version} serves, expected it to be refused", as_meant=False)
    return Ending(step, f"{step.goes_well}, {now_s - begun.at_s:.1f} s after the word", as_meant=True)


def _refused(step: Step, failed: VersionStatus) -> Ending:
    as_meant = step.variant is None
    goes_on = f"; {step.goes_well}" if as_meant else ""
    return Ending(step, f"version {failed.version} refused by the worker: {failed.reason}{goes_on}", as_meant)


def _serves(said: VersionStatus, step: Step) -> bool:
    return said.state == ACTIVE and said.variant is not None and step.variant in {None, said.variant}
