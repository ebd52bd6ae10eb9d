"""One demo from start to end."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_infer.clock import Clock
from stream_infer.demo.cache import (
    MODEL_NAME,
    MODEL_VERSION,
    CachedModel,
    current_ingredients,
    find_cached,
    make_cached,
)
from stream_infer.demo.cluster import mock_cluster, own_cluster
from stream_infer.demo.digits import Digits, Rows, load_digits
from stream_infer.demo.events import EventWriter
from stream_infer.demo.gauges import Gauges
from stream_infer.demo.interruption import Interruption
from stream_infer.demo.plan import write_settings
from stream_infer.demo.rollout import Rollout, Script
from stream_infer.demo.score import Scoreboard, Standing
from stream_infer.demo.stream import Exchange, Pace, Stream
from stream_infer.demo.view import View
from stream_infer.demo.worker import WorkerProcess, running_worker
from stream_infer.errors import Stop
from stream_infer.settings import Settings

READY_TIMEOUT_S: Final = 120.0
READY_INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for; `own_cluster`: the settings name the brokers, else the mock cluster runs."""

    seconds: float
    per_second: float
    own_cluster: bool


class Demo:
    """Gets a model, starts a broker and a worker, streams, and ends everything that it started.

    Of the user's settings it takes the brokers (where wished), batching, delivery, device, cache and log.
    """

    def __init__(self, user: Settings, wishes: Wishes, *, view: View, clock: Clock) -> None:
        self._user = user
        self._wishes = wishes
        self._view = view
        self._clock = clock
        self._interruption = Interruption()

    def run(self) -> Standing:
        """Return how it ended, answered or not; runs in the main thread.

        Raises Stop when something cannot start or the worker fails, KeyboardInterrupt for a signal before events flow.
        """
        with self._interruption:
            digits = load_digits()
            model = self._model(digits)
            start_cluster = own_cluster(self._user) if self._wishes.own_cluster else mock_cluster()
            with tempfile.TemporaryDirectory(prefix="stream-infer-demo-") as folder, start_cluster as cluster:
                config = Path(folder) / "worker.yaml"
                settings = write_settings(config, self._user, kafka=cluster.section, repository=model.repository)
                self._view.say(f"Kafka: {cluster.name}, topics {settings.application_id}.*")
                with cluster.topics(settings):
                    return self._score(settings, config, rows=digits.held_out)

    def _model(self, digits: Digits) -> CachedModel:
        """Return the network, trained now unless an earlier demo left one that is as good."""
        folder, ingredients = self._user.model.cache_directory / "demo", current_ingredients()
        found = find_cached(folder, ingredients)
        if found is None:
            self._view.say(f"training two small networks on {len(digits.train):,} digits, once ...")
            started_s = self._clock.monotonic_s()
            found = make_cached(folder, ingredients, train=lambda repository: _train(digits, repository))
            self._view.say(f"trained in {self._clock.monotonic_s() - started_s:.1f} s")
        where = found.repository / MODEL_NAME / MODEL_VERSION
        self._view.say(f"version 1: {found.accuracy:.1%} of {len(digits.held_out)} held-out digits right, {where}")
        return found

    def _score(self, settings: Settings, config: Path, *, rows: Rows) -> Standing:
        """Run a worker while events flow and are answered; raises Stop when it does not end well."""
        with running_worker(settings, config, log=config.with_name("worker.log")) as worker:
            self._view.say("starting a worker ...")
            _wait_until_ready(worker, self._clock)
            # Patient to the end of the drain: whoever asks for an end gets the summary.
            with self._interruption.patient():
                standing = self._watched(settings, rows, worker=worker)
                code = worker.stop()
            if code != 0:
                raise Stop(f"The worker drained with exit code {code}, expected 0. Its last words:\n{worker.tail()}")
        return standing

    def _watched(self, settings: Settings, rows: Rows, *, worker: WorkerProcess) -> Standing:
        with Gauges(lambda: worker.page("/metrics")) as gauges:
            board = Scoreboard(started_s=self._clock.monotonic_s())
            watch = Watch(board, gauges, worker=worker, view=self._view, clock=self._clock)
            self._stream(settings, rows, board=board, watch=watch)
            return board.whole(batches=gauges.refresh())

    def _stream(self, settings: Settings, rows: Rows, *, board: Scoreboard, watch: "Watch") -> None:
        with Exchange(settings, board=board, clock=self._clock) as exchange, Rollout(settings) as rollout, self._view:
            stream = Stream(exchange, EventWriter(rows), board=board, clock=self._clock)
            pace = Pace(self._wishes.per_second, started_s=self._clock.monotonic_s(), seconds=self._wishes.seconds)
            script = Script(rollout, pace, say=self._view.say, clock=self._clock)

            def turn() -> None:
                watch.turn()
                script.turn()

            stream.send_all(pace, asked_to_end=self._interruption.asked, each_turn=turn)
            stream.read_rest(each_turn=turn)
            script.end()
            watch.show()


class Watch:
    """Looks at the worker and shows the standing, as often as the view wants."""

    def __init__(self, board: Scoreboard, gauges: Gauges, *, worker: WorkerProcess, view: View, clock: Clock) -> None:
        self._board = board
        self._gauges = gauges
        self._worker = worker
        self._view = view
        self._clock = clock
        self._shown_s = clock.monotonic_s()

    def turn(self) -> None:
        """Do so when it is time; raises Stop when the worker ended by itself."""
        if self._clock.monotonic_s() - self._shown_s >= self._view.interval_s:
            self._worker.check()
            self.show()

    def show(self) -> None:
        """Show the standing now."""
        self._shown_s = self._clock.monotonic_s()
        self._view.show(self._board.now(self._shown_s, batches=self._gauges.latest))


def _train(digits: Digits, repository: Path) -> float:
    # Here, because a demo whose network is cached needs no torch of its own: the worker has one.
    from stream_infer.demo.train import train_versions  # noqa: PLC0415

    return train_versions(digits, repository)


def _wait_until_ready(worker: WorkerProcess, clock: Clock) -> None:
    deadline_s = clock.monotonic_s() + READY_TIMEOUT_S
    pause = threading.Event()
    while not worker.is_ready():
        if clock.monotonic_s() > deadline_s:
            raise Stop(f"The worker was not ready after {READY_TIMEOUT_S:g} s. Its last words:\n{worker.tail()}")
        pause.wait(READY_INTERVAL_S)
