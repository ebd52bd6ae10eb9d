"""The demo's rollout: a canary, its promotion, and a broken version that is refused, all while events flow."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from stream_infer.clock import Clock
from stream_infer.demo.cache import BETTER_VERSION, BROKEN_VERSION, MODEL_VERSION
from stream_infer.demo.stream import Pace
from stream_infer.errors import Stop
from stream_infer.model.lifecycle import State
from stream_infer.rollout import operate
from stream_infer.rollout.fold import Folded, fold
from stream_infer.rollout.operate import Issued
from stream_infer.rollout.record import Desired, VersionRef, to_json
from stream_infer.rollout.status import VersionStatus
from stream_infer.settings import Settings
from stream_infer.transport.control import ControlReader, ControlWriter
from stream_infer.transport.status import StatusReader

LONGEST_S: Final = 30.0
"""A longer demo rolls as early as one of this length."""
READ_S: Final = 1.0
ISSUED: Final = Issued(by="stream-infer demo")
CANARY_HUNDREDTHS: Final = 2000


@dataclass(frozen=True, slots=True)
class Step:
    """What the operator of a demo says at a fraction of its time.

    It is over when the worker says that `version` is in `state`, as `variant`; in any other end state it went wrong.
    """

    at: float
    said: str
    word: Callable[[Folded], Desired]
    version: str
    state: State
    variant: str | None = None

    def is_over(self, said: VersionStatus) -> bool:
        """Whether the worker has said so."""
        return said.state == self.state and said.variant == self.variant

    def has_failed(self, said: VersionStatus) -> bool:
        """Whether the version came to the wrong end."""
        return said.state == State.FAILED and self.state is not State.FAILED


STEPS: Final = (
    Step(
        0.15,
        f"version {BETTER_VERSION} as canary for 20 % of the keys",
        lambda log: operate.canary(log, VersionRef(BETTER_VERSION), hundredths=CANARY_HUNDREDTHS, issued=ISSUED),
        version=BETTER_VERSION,
        state=State.ACTIVE,
        variant="canary",
    ),
    Step(
        0.5,
        f"version {BETTER_VERSION} for everything",
        lambda log: operate.promote(log, issued=ISSUED),
        version=BETTER_VERSION,
        state=State.ACTIVE,
        variant="stable",
    ),
    Step(
        0.6,
        f"version {BROKEN_VERSION}, which is broken",
        lambda log: operate.switch(log, VersionRef(BROKEN_VERSION), issued=ISSUED),
        version=BROKEN_VERSION,
        state=State.FAILED,
    ),
)


class Rollout:
    """The demo's hands on the control topic and its eyes on the status topic; used as a `with` block."""

    def __init__(self, settings: Settings) -> None:
        model = settings.model.name
        self._log = operate.with_baseline(Folded(model, settings.application_id), VersionRef(MODEL_VERSION))
        self._reader = ControlReader(settings)
        self._writer = ControlWriter(settings)
        self._statuses = StatusReader(settings, model=model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._statuses.close()

    def say(self, word: Callable[[Folded], Desired]) -> None:
        """Write what a word makes of the log, and read it back."""
        desired = word(self._log)
        offset = self._writer.append(to_json(desired), key=desired.model.encode())
        while self._log.next_offset <= offset:
            for entry in self._reader.read(READ_S):
                self._log, _ = fold(self._log, entry)

    def look(self, version: str) -> VersionStatus | None:
        """Return what the worker says of a version; None before it says anything."""
        self._statuses.read(0.0)
        rows = (row for status in self._statuses.latest.values() for row in status.versions)
        return next((row for row in rows if row.version == version), None)


class Script:
    """Takes the steps one after the other, each when its time has come and the one before is acknowledged."""

    def __init__(self, rollout: Rollout, pace: Pace, *, say: Callable[[str], None], clock: Clock) -> None:
        self._rollout = rollout
        self._started_s = pace.started_s
        self._length_s = min(pace.seconds, LONGEST_S)
        self._say = say
        self._clock = clock
        self._steps = list(STEPS)
        self._under_way: Step | None = None

    def turn(self) -> None:
        """Look for the worker's word, or say the next one; raises Stop when a step went wrong."""
        if self._under_way is not None:
            self._see(self._under_way)
        elif self._steps and self._now() >= self._steps[0].at * self._length_s:
            step = self._steps.pop(0)
            self._rollout.say(step.word)
            self._say(f"{self._now():5.1f} s  told to the control topic: {step.said}")
            self._under_way = step

    def end(self) -> None:
        """Say which steps there was no time for."""
        left = [*([self._under_way] if self._under_way else []), *self._steps]
        if left:
            self._say(f"no time was left for: {'; '.join(step.said for step in left)}")

    def _see(self, step: Step) -> None:
        said = self._rollout.look(step.version)
        if said is None:
            return
        if step.has_failed(said):
            raise Stop(f"The worker refused version {step.version}, expected it to serve: {said.reason}.")
        if step.is_over(said):
            why = f": {said.reason}; version {BETTER_VERSION} goes on" if said.reason else ""
            self._say(f"{self._now():5.1f} s  the worker says: version {said.version} is {said.state}{why}")
            self._under_way = None

    def _now(self) -> float:
        return self._clock.monotonic_s() - self._started_s
