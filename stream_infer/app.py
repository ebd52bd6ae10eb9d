"""The one place that wires everything together; Faust finds `app` here: `faust -A stream_infer.app worker`."""

import atexit
import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, Final

import faust
import mode
from prometheus_client import CollectorRegistry

from stream_infer import __version__
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop, WrongUse
from stream_infer.logs import logging_config
from stream_infer.metrics import Metrics, Reporter
from stream_infer.model import ModelSlot
from stream_infer.pipeline.compute import ComputeThread
from stream_infer.pipeline.inbox import Inbox
from stream_infer.pipeline.run import Scorer
from stream_infer.scoring import Surroundings, load_model, make_scorer
from stream_infer.settings import Settings, load_settings
from stream_infer.transport.clients import (
    SaslFiles,
    consumer_config,
    output_producer_config,
    producer_config,
    wait_for_broker,
)
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import Feed
from stream_infer.transport.link import Link, attach
from stream_infer.transport.sink import Sink
from stream_infer.transport.topics import admin_for, check_topics, smallest_message_limit
from stream_infer.web import add_pages

log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (20_000, 50, 100)
WORKER_ATTRIBUTE: Final = "stream_infer_worker"
REPORT_S: Final = 30.0
WATCH_S: Final = 1.0
INGEST_AGENT: Final = "stream_infer.ingest"


class Worker:
    """One scoring worker inside a Faust app: its threads, its state, and why it stopped if it failed."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.metrics = Metrics(version=__version__, clock=self.clock)
        self.reporter = Reporter(self.metrics, period_s=REPORT_S)
        self.inbox = Inbox()
        batching = settings.batching
        self.credit = Credit(records=batching.queue_limit_records, size_bytes=batching.queue_limit_bytes)
        self.slot: ModelSlot | None = None
        self._scorer: Scorer | None = None
        self.failure: BaseException | None = None
        self.clean = True
        self._app = app
        self._checked = False
        self._message_limit: int | None = None
        self._feed = self._make_feed()
        self._compute = ComputeThread(inbox=self.inbox, prepare=self._make_scorer, failed=self._fail)
        self._declare_gauges()

    @property
    def registry(self) -> CollectorRegistry:
        """Return the metrics' registry."""
        return self.metrics.registry

    def check(self) -> None:
        """Look at what must be right before anything starts; raises `Stop` with one sentence. Done once."""
        if not self._checked:
            wait_for_broker(self.settings)
            admin, topics = admin_for(self.settings), self.settings.topics
            check_topics(admin, self.settings)
            self._message_limit = smallest_message_limit(admin, [topics.output, topics.dead_letter])
            self._checked = True

    def link(self) -> Link:
        """Return what the transport needs to know of this worker."""
        return Link(
            input_topics=frozenset(self.settings.topics.input),
            feed=self._feed,
            producer_properties=producer_config(self.settings),
            shutdown_timeout_s=self.settings.delivery.shutdown_timeout_s,
            before_subscribe=self._make_ready,
            after_close=self._note_end,
            failed=self._note_failure,
        )

    def sick_reasons(self) -> list[str]:
        """Return why this process should be restarted."""
        silent_s = self.clock.monotonic_s() - self._feed.state.last_turn_s
        reasons = [] if self.failure is None else [str(self.failure)]
        reasons += [] if (stuck := self._stuck()) is None else [str(stuck)]
        if self._feed.state.joined and silent_s > self.settings.model.inference_timeout_s:
            reasons.append(f"the consumer thread made no turn for {silent_s:.0f} s")
        return reasons

    def end_if_stuck(self) -> None:
        """Stop the app when a model call takes longer than it ever may; nothing of it is committed."""
        if (stuck := self._stuck()) is not None:
            self._fail(stuck)

    def _stuck(self) -> Stop | None:
        since_s = self._scorer.calling_since_s if self._scorer else None
        busy_s = 0.0 if since_s is None else self.clock.monotonic_s() - since_s
        if busy_s <= self.settings.model.inference_timeout_s:
            return None
        limit_s = self.settings.model.inference_timeout_s
        return Stop(f"a call of the model has not ended after {busy_s:.0f} s, model.inference_timeout_s is {limit_s:g}")

    def unready_reasons(self) -> list[str]:
        """Return why no record is scored now."""
        reasons = self.sick_reasons()
        if not self._compute.is_ready():
            reasons.append("no version of the model serves yet")
        if not self._feed.state.joined:
            reasons.append("the consumer group is not joined yet")
        if self._app.should_stop:
            reasons.append("the worker is draining")
        return reasons

    def models(self) -> list[Mapping[str, object]]:
        """Return the versions held, as `/models` shows them."""
        return self.slot.describe() if self.slot else []

    def _make_feed(self) -> Feed:
        return Feed(
            properties=consumer_config(self.settings),
            reset=self.settings.kafka.auto_offset_reset,
            credit=self.credit,
            inbox=self.inbox,
            clock=self.clock,
            credentials=SaslFiles(self.settings),
        )

    def _declare_gauges(self) -> None:
        gauge, state = self.metrics.gauge, self._feed.state
        gauge("queue_records", "Records between poll and produce.", lambda: self.credit.used_records)
        gauge("queue_bytes", "Bytes between poll and produce.", lambda: self.credit.used_bytes)
        gauge("assigned_partitions", "Partitions this worker owns.", lambda: len(state.assigned))
        gauge("positions_lost", "Positions lost to retention since the start.", lambda: state.positions_lost)
        gauge("ready", "1 when records are scored.", lambda: not self.unready_reasons())

    def _make_ready(self, stopping: Callable[[], bool]) -> None:
        """Load the model, then keep what is loaded out of the garbage collector's way."""
        try:
            self.check()
            self._compute.start()
            self._compute.wait_until_ready(stopping)
        except BaseException as error:
            if not stopping():
                self._note_failure(error)
            self.inbox.close(error)
            raise
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def _make_scorer(self) -> Scorer:
        """Load the model and put the path together; runs on the compute thread, which keeps the device."""
        self.slot = ModelSlot(load_model(self.settings))
        self._scorer = make_scorer(
            self.settings,
            self.slot,
            Surroundings(
                inbox=self.inbox,
                producer=self._make_sink(),
                committer=self._feed.commits,
                give=lambda records, size_bytes: self.credit.give(records, size_bytes=size_bytes),
                clock=self.clock,
                metrics=self.metrics,
            ),
        )
        return self._scorer

    def _make_sink(self) -> Sink:
        properties = output_producer_config(self.settings, topic_limit_bytes=self._message_limit)
        return Sink(properties, credentials=SaslFiles(self.settings))

    def _fail(self, error: BaseException) -> None:
        """Stop the app; called on the thread that failed."""
        self._note_failure(error)
        loop = self._app.loop
        loop.call_soon_threadsafe(lambda: self._app.add_future(self._app.crash(error)))

    def _note_failure(self, error: BaseException) -> None:
        """Keep the first failure, and say it once."""
        if self.failure is None:
            self.failure = error
            log.critical("the worker cannot go on: %s", error, exc_info=None if isinstance(error, Stop) else error)

    def _note_end(self, clean: bool) -> None:  # noqa: FBT001 - the transport's callback
        self.clean = clean
        if self.failure is None and self._compute.is_ready():
            self._compute.join()


def mount(app: faust.App, settings: Settings) -> Worker:
    """Put the scoring worker into a Faust app, beside the app's own agents; call it before the app starts.

    The app's broker must be `rdkafka://...`; which brokers are used is said by `settings.kafka`. Garbage collection
    thresholds are set for the process once the model is loaded. Raises `WrongUse` for another broker scheme.
    """
    scheme = app.conf.broker_consumer[0].scheme
    if scheme != "rdkafka":
        message = f"the app's broker is {scheme}://, which Faust's own driver serves: expected rdkafka://"
        raise WrongUse(message)
    app.conf.topic_disable_leader = True
    worker = Worker(app, settings)
    attach(app, worker.link())
    setattr(app, WORKER_ATTRIBUTE, worker)
    channel = app.topic(*settings.topics.input, key_serializer="raw", value_serializer="raw")

    @app.agent(channel, name=INGEST_AGENT, supervisor_strategy=mode.CrashingSupervisor)
    async def ingest(stream: Any) -> None:
        """Hand each poll to the compute thread."""
        async for event in stream.noack().events():
            worker.inbox.put(event.value)

    _add_timers(app, worker)
    add_pages(app, worker)
    return worker


def _add_timers(app: faust.App, worker: Worker) -> None:
    async def report() -> None:
        """Say what was done since the last time, if anything was."""
        worker.reporter.report()

    async def watch() -> None:
        """Look whether the model still answers."""
        worker.end_if_stuck()

    app.timer(interval=REPORT_S)(report)
    app.timer(interval=WATCH_S)(watch)


def worker_of(app: faust.App) -> Worker:
    """Return the worker that `mount` put into `app`."""
    worker: Worker = getattr(app, WORKER_ATTRIBUTE)
    return worker


def create_app(settings: Settings) -> faust.App:
    """Return a Faust app with nothing in it but the worker."""
    app = faust.App(
        settings.application_id,
        broker="rdkafka://" + settings.kafka.bootstrap_servers.split(",")[0],
        datadir=_scratch_folder(),
        web_enabled=settings.web.enabled,
        web_bind=settings.web.host,
        web_port=settings.web.port,
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
        autodiscover=False,
        logging_config=logging_config(level=settings.log.level, form=settings.log.format),
    )
    mount(app, settings)
    return app


def _scratch_folder() -> str:
    """Return a folder for Faust, which makes one in the working folder otherwise; removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="stream-infer-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def __getattr__(name: str) -> Any:
    """Make `app` at first use, so that importing this module reads no settings."""
    if name != "app":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    globals()["app"] = _app_from_environment()
    return globals()["app"]


def _app_from_environment() -> faust.App:
    try:
        return create_app(load_settings(None, (), os.environ))
    except Stop as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from error
