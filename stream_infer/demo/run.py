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
from stream_infer.demo.rollout import Rollout
from stream_infer.demo.score import Scoreboard, Standing
from stream_infer.demo.script import Script
from stream_infer.demo.stream import Exchange, Pace, Stream
from stream_infer.demo.view import View
from stream_infer.demo.worker import WorkerProcess, running_worker
from stream_infer.errors import Stop
from stream_infer.settings import Settings

READY_TIMEOUT_S: Final = 120.0
READY_INTERVAL_S: Final = 0.1
EXTRA_SHARE: Final = 0.25
"""So much longer than asked for events are sent while the worker has still to answer a step of the rollout."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for; `own_cluster`: the settings name the brokers, else the mock cluster runs."""

    seconds: float
    per_second: float
    own_cluster: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a demo ended: `went_wrong` says what the rollout came to, where that is not what it should."""

    standing: Standing
    went_wrong: str | None


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

    def run(self) -> Outcome:
        """Return how it ended, well or not; runs in the main thread.

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
            self._view.say(f"training small networks on {len(digits.train):,} digits, once ...")
            started_s = self._clock.monotonic_s()
            found = make_cached(folder, ingredients, train=lambda repository: _train(digits, repository))
            self._view.say(f"trained in {self._clock.monotonic_s() - started_s:.1f} s")
        where = found.repository / MODEL_NAME / MODEL_VERSION
        self._view.say(f"version 1: {found.accuracy:.1%} of {len(digits.held_out)} held-out digits right, {where}")
        return found

    def _score(self, settings: Settings, config: Path, *, rows: Rows) -> Outcome:
        """Run a worker while events flow and are answered; raises Stop when it does not end well."""
        with running_worker(settings, config, log=config.with_name("worker.log")) as worker:
            self._view.say("starting a worker ...")
            _wait_until_ready(worker, self._clock)
            # Patient to the end of the drain: whoever asks for an end gets the summary.
            with self._interruption.patient():
                outcome = self._watched(settings, rows, worker=worker)
                code = worker.stop()
            if code != 0:
                raise Stop(f"The worker drained with exit code {code}, expected 0. Its last words:\n{worker.tail()}")
        return outcome

    def _watched(self, settings: Settings, rows: Rows, *, worker: WorkerProcess) -> Outcome:
        with Gauges(lambda: worker.page("/metrics")) as gauges:
            started_s = self._clock.monotonic_s()
            board = Scoreboard(started_s=started_s)
            script = Script(self._wishes.seconds)
            rollout = Rollout(settings, script, started_s=started_s, clock=self._clock)
            watch = Watch(board, gauges, rollout, worker=worker, view=self._view, clock=self._clock)
            with Exchange(settings, board=board, clock=self._clock) as exchange, rollout, self._view:
                stream = Stream(exchange, EventWriter(rows), board=board, clock=self._clock)
                self._send(stream, started_s=started_s, rollout=rollout, watch=watch)
            wrong = rollout.went_wrong
            return Outcome(board.whole(batches=gauges.refresh()), wrong.sentence if wrong else None)

    def _send(self, stream: Stream, *, started_s: float, rollout: Rollout, watch: "Watch") -> None:
        seconds = self._wishes.seconds
        pace = Pace(self._wishes.per_second, started_s=started_s, seconds=seconds, extra_s=EXTRA_SHARE * seconds)

        def goes_on(now_s: float) -> bool:
            return not self._interruption.asked() and not pace.is_over(now_s, wants_more=rollout.is_under_way)

        stream.send_all(pace, goes_on=goes_on, each_turn=watch.turn)
        rollout.end()
        stream.read_rest(each_turn=watch.turn)
        watch.end()


class Watch:
    """Looks at worker and rollout, and shows the standing as often as the view wants."""

    def __init__(
        self,
        board: Scoreboard,
        gauges: Gauges,
        rollout: Rollout,
        *,
        worker: WorkerProcess,
        view: View,
        clock: Clock,
    ) -> None:
        self._board = board
        self._gauges = gauges
        self._rollout = rollout
        self._worker = worker
        self._view = view
        self._clock = clock
        self._shown_s = clock.monotonic_s()

    def turn(self) -> None:
        """Say what is new, show what is due; raises Stop when the worker ended by itself."""
        self._board.is_rolling = self._rollout.is_rolling
        for sentence in self._rollout.news():
            self._view.say(sentence)
        if self._clock.monotonic_s() - self._shown_s >= self._view.interval_s:
            self._worker.check()
            self._show()

    def end(self) -> None:
        """Say and show what there is at the end."""
        if (sentence := self._rollout.left_out()) is not None:
            self._view.say(sentence)
        self._show()

    def _show(self) -> None:
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
