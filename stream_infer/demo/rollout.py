"""Plays the script on a thread of its own, with an operator's hands and eyes, so that no answer waits for it."""

import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from stream_infer.clock import Clock
from stream_infer.demo.cache import MODEL_VERSION
from stream_infer.demo.script import Ending, Script, Step
from stream_infer.errors import Stop
from stream_infer.rollout.fold import Entry, Folded, fold
from stream_infer.rollout.operate import with_baseline
from stream_infer.rollout.record import Desired, VersionRef, to_json
from stream_infer.settings import Settings
from stream_infer.transport.control import ControlWriter
from stream_infer.transport.status import StatusReader

TURN_S: Final = 0.05


class Rollout:
    """Writes to the control topic and reads the status topic between entering the `with` block and `end`.

    `started_s` is the monotonic time from which the script's times count.
    """

    def __init__(self, settings: Settings, script: Script, *, started_s: float, clock: Clock) -> None:
        self._settings = settings
        self._script = script
        self._started_s = started_s
        self._clock = clock
        self._log = with_baseline(
            Folded(settings.model.name, settings.application_id), VersionRef(settings.model.version or MODEL_VERSION)
        )
        self._news: SimpleQueue[str] = SimpleQueue()
        self._failure: BaseException | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-rollout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._thread.join()

    @property
    def is_under_way(self) -> bool:
        """Whether the worker has still to answer a step."""
        return self._script.is_under_way

    @property
    def is_rolling(self) -> bool:
        """Whether versions change at this moment, or have just changed."""
        return self._script.is_rolling(self._now())

    @property
    def went_wrong(self) -> Ending | None:
        """The step that ended otherwise than it should; None while all is well."""
        return self._script.went_wrong

    def news(self) -> list[str]:
        """Return what happened since the last call, a sentence each; raises what the thread ended with, if it did."""
        if self._failure is not None:
            raise self._failure
        return [self._news.get_nowait() for _ in range(self._news.qsize())]

    def end(self) -> None:
        """Begin no more steps and hear of no more ends; return at once."""
        self._end.set()

    def left_out(self) -> str | None:
        """Return a sentence about the steps that did not come to an end; None when all did."""
        steps = self._script.left_out
        return f"no time was left for: {'; '.join(step.what for step in steps)}" if steps else None

    def _run(self) -> None:
        try:
            writer = ControlWriter(self._settings)
            reader = StatusReader(self._settings, model=self._settings.model.name)
            try:
                while not self._end.is_set():
                    self._turn(writer, reader)
            finally:
                reader.close()
        except BaseException as error:  # noqa: BLE001 - whoever asks for news raises it again
            self._failure = error

    def _turn(self, writer: ControlWriter, reader: StatusReader) -> None:
        for status in reader.read(TURN_S):
            ending = self._script.hear(status, now_s=self._now())
            if ending is not None:
                self._say(ending.sentence)
        step = self._script.due(self._now())
        if step is not None:
            self._speak(writer, step)

    def _speak(self, writer: ControlWriter, step: Step) -> None:
        now_s, desired = self._now(), step.word(self._log)
        self._append(writer, desired)
        self._script.begin(step, revision=desired.revision, now_s=now_s)
        self._say(f"control topic, revision {desired.revision}: {step.what}")

    def _append(self, writer: ControlWriter, desired: Desired) -> None:
        """Write a state and fold it as the workers do: nobody else writes to this demo's topic."""
        key, value = desired.model.encode(), to_json(desired)
        entry = Entry(writer.append(value, key=key), key, value, int(self._clock.wall_s() * 1000))
        self._log, verdict = fold(self._log, entry)
        if self._log.revision != desired.revision:
            raise Stop(f"Revision {desired.revision} does not count: {verdict.reason}.")

    def _say(self, sentence: str) -> None:
        self._news.put(f"{self._now():5.1f} s  {sentence}")

    def _now(self) -> float:
        return self._clock.monotonic_s() - self._started_s
