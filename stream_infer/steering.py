"""Follows the control topic on a thread of its own: reads it, lets the follower decide, tells the status topic."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Final

from stream_infer.clock import Clock
from stream_infer.errors import Retry
from stream_infer.loading import VersionLoader
from stream_infer.logs import Repeated
from stream_infer.metrics import Metrics
from stream_infer.model import find_version, return_memory
from stream_infer.model.serving import Serving
from stream_infer.rollout.follow import Follower
from stream_infer.rollout.ports import Engine, Origins
from stream_infer.rollout.record import VersionRef
from stream_infer.rollout.status import VersionStatus, WorkerStatus
from stream_infer.rollout.table import Row
from stream_infer.settings import Settings
from stream_infer.transport.control import ControlReader
from stream_infer.transport.status import StatusWriter

repeated = Repeated(logging.getLogger(__name__))

TURN_S: Final = 0.05
ASK_AGAIN_S: Final = 2.0
REPEAT_S: Final = 24 * 3600.0
JOIN_TIMEOUT_S: Final = 10.0


class GateQueue:
    """Gates that the consumer thread asked for, until the rollout thread opens them; see `transport.gate.Gate`."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Future[None]] = SimpleQueue()
        self._waiting: list[tuple[int, Future[None]]] = []

    def ask(self) -> "Future[None]":
        """Return a gate that is shut; from any thread."""
        gate: Future[None] = Future()
        self._asked.put(gate)
        return gate

    def open(self, *, position: int, end_offset: Callable[[], int], in_step: bool) -> None:
        """Open the gates whose end of the log is read and in effect; on the rollout thread."""
        if not self._asked.empty():
            end = end_offset()
            while not self._asked.empty():
                self._waiting.append((end, self._asked.get_nowait()))
        if not in_step:
            return
        for _, gate in (waiting for waiting in self._waiting if waiting[0] <= position):
            gate.set_result(None)
        self._waiting = [waiting for waiting in self._waiting if waiting[0] > position]


class TimedEngine:
    """An engine whose switches are timed, from the moment they are asked for."""

    def __init__(self, engine: Engine, *, metrics: Metrics, clock: Clock) -> None:
        self.warm = engine.warm
        self.release = engine.release
        self._engine = engine
        self._metrics = metrics
        self._clock = clock

    def serve(self, serving: Serving) -> "Future[None]":
        """Let these versions answer from the next batch on."""
        asked_s = self._clock.monotonic_s()
        answer = self._engine.serve(serving)
        answer.add_done_callback(lambda _: self._metrics.switched(self._clock.monotonic_s() - asked_s))
        return answer


class Steering:
    """The rollout thread of one worker; `failed` is told of what ended it."""

    def __init__(
        self,
        settings: Settings,
        *,
        loader: VersionLoader,
        engine: Engine,
        gates: GateQueue,
        clock: Clock,
        metrics: Metrics,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._loader = loader
        self._clock = clock
        self._metrics = metrics
        self._failed = failed
        self._gates = gates
        self._follower = Follower(
            Origins(settings.model.name, settings.application_id, lambda: baseline(settings)),
            loader=loader,
            engine=TimedEngine(engine, metrics=metrics, clock=clock),
            clock=clock,
            keep_previous_s=settings.model.keep_previous_s,
        )
        self._reported = (-1, 0.0)
        self._status: WorkerStatus | None = None
        self._blame = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream-infer-rollout", daemon=True)

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    def stop(self, *, blame: bool) -> None:
        """Give up what is under way and wait a moment for the thread; return at once when it was never started.

        With `blame` what is under way is why the worker ends, and counts against the version that is being loaded.
        """
        self._blame = blame
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT_S)

    def status(self) -> WorkerStatus | None:
        """Return what this worker last said of itself; None before it said anything."""
        return self._status

    def _run(self) -> None:
        try:
            reader, writer = ControlReader(self._settings), StatusWriter(self._settings)
        except BaseException as error:  # noqa: BLE001 - as below
            self._failed(error)
            return
        try:
            self._read_to_end(reader)
            while not self._stop.is_set():
                self._turn(reader, writer)
        except BaseException as error:  # noqa: BLE001 - the thread ends with it, whatever it is
            with suppress(Exception):
                self._report(writer)
            self._failed(error)
        finally:
            if not self._blame:
                self._follower.end()
            self._loader.close(blame=self._blame)
            reader.close()
            writer.close()

    def _read_to_end(self, reader: ControlReader) -> None:
        """Read the log to its end as of now before anything is loaded, so that no old revision is."""
        end: int | None = None
        while not self._stop.is_set() and (end is None or reader.position < end):
            end = self._end_offset(reader) if end is None else end
            self._hear(reader)

    def _turn(self, reader: ControlReader, writer: StatusWriter) -> None:
        self._hear(reader)
        try:
            self._follower.turn()
        except Retry as reason:
            repeated.warning("nothing is decided for now: %s", reason)
            self._stop.wait(ASK_AGAIN_S)
        self._count()
        self._report(writer)
        writer.look()
        if self._follower.was_released():
            return_memory()
        try:
            self._gates.open(
                position=reader.position, end_offset=reader.end_offset, in_step=self._follower.is_in_step()
            )
        except Retry as reason:
            repeated.warning("partitions that were just assigned wait: %s", reason)

    def _count(self) -> None:
        """Count what the follower did since this was called last."""
        for outcome, count in self._follower.ends.items():
            self._metrics.swaps_total.labels(outcome).inc(count)
        self._follower.ends.clear()
        phases = self._follower.table.phases
        while phases:
            state, seconds = phases.pop()
            self._metrics.swap_seconds.labels(state.lower()).observe(seconds)

    def _hear(self, reader: ControlReader) -> None:
        for verdict in self._follower.hear(reader.read(0.0 if self._follower.has_news() else TURN_S)):
            self._metrics.control_messages_total.labels(verdict.outcome).inc()

    def _end_offset(self, reader: ControlReader) -> int | None:
        try:
            return reader.end_offset()
        except Retry as reason:
            repeated.warning("the control topic cannot be read yet: %s", reason)
            return None

    def _report(self, writer: StatusWriter) -> None:
        """Say what changed, and everything again once a day; then forget the versions that are gone."""
        now_s = self._clock.wall_s()
        changes, at_s = self._reported
        if changes == self._follower.changes and now_s - at_s < REPEAT_S:
            return
        self._reported = (self._follower.changes, now_s)
        self._status = status_of(self._follower, self._settings, now_s=now_s)
        writer.write(self._status)
        self._follower.table.sweep()


def baseline(settings: Settings) -> VersionRef:
    """Return what serves until the control topic names a version; raises `Stop` for none or several, and `Retry`."""
    model = settings.model
    return VersionRef(model.version or find_version(model.repository, model.name).version)


def status_of(follower: Follower, settings: Settings, *, now_s: float) -> WorkerStatus:
    """Return the worker's whole state, as the status topic and `/models` show it."""
    serving = follower.serving
    variants = follower.table.variants(serving) if serving else {}
    return WorkerStatus(
        application_id=settings.application_id,
        model=settings.model.name,
        worker=settings.worker_id,
        applied_revision=serving.revision if serving else 0,
        versions=tuple(_version_status(row, variants.get(row.holding.ref)) for row in follower.table),
        tripped=follower.tripped.reason if follower.tripped else None,
        skew=follower.skew,
        at=_iso(now_s),
        reported=follower.refusals,
    )


def _version_status(row: Row, variant: str | None) -> VersionStatus:
    holding = row.holding
    return VersionStatus(
        version=holding.ref.version,
        digest=holding.digest,
        variant=variant,
        state=str(holding.life.state),
        reason=holding.life.reason,
        since=_iso(holding.life.since_s),
    )


def _iso(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
