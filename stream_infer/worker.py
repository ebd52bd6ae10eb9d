"""One scoring worker: its threads, its state, and why it stopped if it failed. Knows no Faust."""

import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from stream_infer import __version__
from stream_infer.avro import load_schema
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop, Stuck
from stream_infer.gauges import Watched, show
from stream_infer.loading import VersionLoader
from stream_infer.metrics import Metrics, Reporter, final_line
from stream_infer.model import ModelSlot
from stream_infer.pipeline.calls import Caller, CallWatch
from stream_infer.pipeline.compute import ComputeThread
from stream_infer.pipeline.inbox import Inbox, reply
from stream_infer.pipeline.run import Scorer
from stream_infer.rollout.status import WorkerStatus
from stream_infer.scoring import Surroundings, first_serving, make_scorer, set_threads
from stream_infer.settings import Settings
from stream_infer.steering import GateQueue, Steering
from stream_infer.tracing import open_traces
from stream_infer.transport.clients import (
    SaslFiles,
    consumer_config,
    is_exactly_once,
    output_producer_config,
    producer_config,
    transactional_config,
    wait_for_broker,
)
from stream_infer.transport.control import check_control_topic
from stream_infer.transport.credit import ENOUGH_RECORDS, Credit
from stream_infer.transport.feed import Feed
from stream_infer.transport.link import Link
from stream_infer.transport.sink import Sink
from stream_infer.transport.topics import CheckedTopics, admin_for, check_topics, note_retry_topic
from stream_infer.transport.transaction import TransactionalSink

log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (20_000, 50, 100)
REPORT_S: Final = 30.0
FIRST_TRANSACTION_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Host:
    """The app around a worker: `crash` ends it, from any thread; `is_stopping` says that it ends already."""

    crash: Callable[[BaseException], None]
    is_stopping: Callable[[], bool]


class Worker:
    """The scoring side of an app. `failure` is what ended it, `clean` whether nothing was left undone."""

    def __init__(self, host: Host, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.metrics = Metrics(version=__version__, clock=self.clock)
        self.reporter = Reporter(self.metrics, period_s=REPORT_S)
        self.inbox = Inbox()
        batching = settings.batching
        self.credit = Credit(
            records=batching.queue_limit_records,
            size_bytes=batching.queue_limit_bytes,
            enough=min(batching.max_batch_size, ENOUGH_RECORDS),
        )
        self.slot: ModelSlot | None = None
        self._first_calls = CallWatch(self.clock)
        self._scorer: Scorer | None = None
        self._loader: VersionLoader | None = None
        self._blame = False
        self.failure: BaseException | None = None
        self.clean = True
        self._host = host
        self._gates = GateQueue()
        self._steering: Steering | None = None
        self._checked = False
        self._traces = open_traces(settings, clock=self.clock)
        self._topics = CheckedTopics({}, None)
        self._feed = self._make_feed()
        self._compute = ComputeThread(inbox=self.inbox, prepare=self._make_scorer, failed=self._fail)
        self._partitions = show(self.metrics, self._watched())

    @property
    def registry(self) -> CollectorRegistry:
        """Return the metrics' registry."""
        return self.metrics.registry

    def check(self) -> None:
        """Look at what must be right before anything starts; raises `Stop` with one sentence. Done once."""
        if not self._checked:
            wait_for_broker(self.settings)
            admin = admin_for(self.settings)
            self._topics = check_topics(admin, self.settings)
            check_control_topic(admin, self.settings)
            note_retry_topic(admin, self.settings)
            self._checked = True

    def link(self) -> Link:
        """Return what the transport needs to know of this worker."""
        return Link(
            input_topics=tuple(self.settings.topics.input),
            retry_topic=self.settings.topics.retry,
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

    def look(self) -> None:
        """Note what is only known by looking every second or so; on the thread that reads the metrics."""
        self._partitions.look()
        self.metrics.look()

    def end_if_stuck(self) -> None:
        """Stop the app when a version's code takes longer than it ever may; nothing of it is committed."""
        try:
            self._refuse_stuck()
        except Stop as stuck:
            self._fail(stuck)

    def _refuse_stuck(self) -> bool:
        """Return False, or raise what says that a version's code is stuck."""
        if (stuck := self._stuck()) is not None:
            self._blame = True
            raise stuck
        return False

    def _stuck(self) -> Stuck | None:
        model = self.settings.model
        called_s = max(self._busy_s(self._first_calls), self._busy_s(self._scorer))
        if called_s > model.inference_timeout_s:
            limit = f"model.inference_timeout_s is {model.inference_timeout_s:g}"
            return Stuck(f"a call of the model has not ended after {called_s:.0f} s, {limit}")
        loaded_s = self._busy_s(self._loader)
        if loaded_s > model.load_timeout_s:
            limit = f"model.load_timeout_s is {model.load_timeout_s:g}"
            return Stuck(f"a version is still being loaded after {loaded_s:.0f} s, {limit}")
        return None

    def _busy_s(self, caller: Caller | None) -> float:
        since_s = caller.calling_since_s if caller is not None else None
        return 0.0 if since_s is None else self.clock.monotonic_s() - since_s

    def unready_reasons(self) -> list[str]:
        """Return why no record is scored now."""
        reasons = self.sick_reasons() + ([] if self._checked else ["no broker has answered yet"])
        if not self._compute.is_ready():
            reasons.append("no version of the model serves yet")
        if not self._feed.state.joined:
            reasons.append("the consumer group is not joined yet")
        if self._scorer is not None and self._scorer.stopped:
            reasons.append(self._scorer.stopped)
        if self._host.is_stopping():
            reasons.append("the worker is draining")
        return reasons

    def models(self) -> Mapping[str, object]:
        """Return what this worker last said on the status topic, as `/models` shows it."""
        return asdict(status) if (status := self._status()) else {}

    def _make_feed(self) -> Feed:
        return Feed(
            properties=consumer_config(self.settings),
            reset=self.settings.kafka.auto_offset_reset,
            read_whole=frozenset({self.settings.topics.retry}),
            credit=self.credit,
            inbox=self.inbox,
            clock=self.clock,
            credentials=SaslFiles(self.settings),
            gate=self._gates,
        )

    def _watched(self) -> Watched:
        return Watched(
            credit=self.credit,
            state=self._feed.state,
            clock=self.clock,
            scorer=lambda: self._scorer,
            status=self._status,
            is_ready=lambda: not self.unready_reasons(),
            device_memory_bytes=lambda: self._loader.device_memory_bytes() if self._loader else 0,
        )

    def _status(self) -> WorkerStatus | None:
        return self._steering.status() if self._steering else None

    def _make_ready(self, stopping: Callable[[], bool]) -> None:
        """Load the model, then keep what is loaded out of the garbage collector's way."""
        try:
            self.check()
            set_threads()
            self._compute.start()
            self._steering = self._start_steering()
            self._compute.wait_until_ready(lambda: self._refuse_stuck() or stopping())
        except BaseException as error:
            if not stopping():
                self._note_failure(error)
            self.inbox.close(error)
            raise
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def _start_steering(self) -> Steering:
        """Follow the control topic: the first version that serves comes from there, or from the settings."""
        reader = load_schema(self.settings.schemas.input)
        self._loader = VersionLoader(self.settings, reader=reader, clock=self.clock)
        steering = Steering(
            self.settings,
            loader=self._loader,
            engine=self.inbox,
            gates=self._gates,
            clock=self.clock,
            metrics=self.metrics,
            failed=self._steering_failed,
        )
        steering.start()
        return steering

    def _make_scorer(self) -> Scorer:
        """Wait for the first version, and put the path together; runs on the compute thread, which keeps the device."""
        batch_size = self.settings.batching.max_batch_size
        first = first_serving(self.inbox, batch_size=batch_size, watch=self._first_calls)
        self.slot = ModelSlot(first.serving)
        self._scorer = make_scorer(
            self.settings,
            self.slot,
            Surroundings(
                inbox=self.inbox,
                producer=self._make_sink(),
                partitions=self._topics.partitions,
                committer=self._feed.commits,
                intake=self.credit,
                clock=self.clock,
                metrics=self.metrics,
                tracer=self._traces,
            ),
        )
        reply(first.answer, None)
        return self._scorer

    def _make_sink(self) -> Sink:
        """Return where outputs go; under exactly once nobody else writes under this worker's id any more."""
        settings, credentials = self.settings, SaslFiles(self.settings)
        if not is_exactly_once(settings):
            properties = output_producer_config(settings, topic_limit_bytes=self._topics.limit_bytes)
            return Sink(properties, credentials=credentials)
        properties = transactional_config(settings, topic_limit_bytes=self._topics.limit_bytes)
        sink = TransactionalSink(properties, clock=self.clock, credentials=credentials)
        while not sink.recover(within_s=FIRST_TRANSACTION_S):
            if self._host.is_stopping():
                raise Stop("the worker was stopped before its first transaction could begin")
        return sink

    def _fail(self, error: BaseException) -> None:
        """Stop the app; called on the thread that failed."""
        self._note_failure(error)
        self._host.crash(error)

    def _steering_failed(self, error: BaseException) -> None:
        """Stop the app, unless it stops already: then nobody answers what the rollout thread asks."""
        if not self._host.is_stopping():
            self._fail(error)

    def _note_failure(self, error: BaseException) -> None:
        """Keep the first failure, and say it once."""
        if self.failure is None:
            self.failure = error
            log.critical("the worker cannot go on: %s", error, exc_info=None if isinstance(error, Stop) else error)

    def _note_end(self, clean: bool) -> None:  # noqa: FBT001 - the transport's callback
        self.clean = clean
        if self._steering is not None:
            self._steering.stop(blame=self._blame)
        if self.failure is None and self._compute.is_ready():
            self._compute.join()
        if self._traces is not None:
            self._traces.close()
        log.info("%s", final_line(self.metrics))
