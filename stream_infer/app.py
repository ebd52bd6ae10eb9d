"""The worker inside a Faust app; Faust finds `app` here: `faust -A stream_infer.app worker`."""

import asyncio
import atexit
import logging
import os
import shutil
import signal
import sys
import tempfile
from typing import Any, Final

import faust
import mode

from stream_infer.errors import Stop, Stuck, WrongUse
from stream_infer.logs import logging_of, say_everything_left_out, say_left_out
from stream_infer.settings import Settings, load_settings
from stream_infer.transport.link import attach
from stream_infer.web import add_document, add_pages, add_predictions
from stream_infer.worker import REPORT_S, Host, Worker

log = logging.getLogger(__name__)

WORKER_ATTRIBUTE: Final = "stream_infer_worker"
WATCH_S: Final = 1.0
LEFT: Final = 1
"""Exit code after a second signal, and of a worker whose model does not come back."""
INGEST_AGENT: Final = "stream_infer.ingest"


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
    worker = Worker(_host(app), settings)
    attach(app, worker.link())
    setattr(app, WORKER_ATTRIBUTE, worker)
    channel = app.topic(*settings.topics.input, key_serializer="raw", value_serializer="raw")

    @app.agent(channel, name=INGEST_AGENT, supervisor_strategy=mode.CrashingSupervisor)
    async def ingest(stream: Any) -> None:
        """Hand each poll to the compute thread."""
        async for event in stream.noack().events():
            worker.inbox.put(event.value)

    _add_timers(app, worker)
    _leave_on_second_signal(app)
    atexit.register(_end, worker)
    add_pages(app, worker)
    add_document(app, worker)
    if settings.web.predict:
        add_predictions(app, worker)
    return worker


def _host(app: faust.App) -> Host:
    def crash(error: BaseException) -> None:
        app.loop.call_soon_threadsafe(lambda: app.add_future(app.crash(error)))

    return Host(crash, lambda: bool(app.should_stop))


def _leave_on_second_signal(app: faust.App) -> None:
    """Let a signal that comes while the app stops end the process at once; Faust ignores all but the first."""

    @app.on_before_shutdown.connect(weak=False)
    async def arm(_app: faust.App, **_signal: Any) -> None:
        if app.in_worker:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _leave)


def _leave() -> None:
    """End the process where it stands: as after a crash, what was not committed is scored again."""
    say_everything_left_out()
    log.critical("told to stop again: leaving at once, what was not committed is scored again")
    _exit()


def _end(worker: Worker) -> None:
    """Say what is left to be said; a thread that is still inside a model's code would abort Python's own end."""
    say_everything_left_out()
    if isinstance(worker.failure, Stuck):
        _exit()


def _exit() -> None:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(LEFT)


def _add_timers(app: faust.App, worker: Worker) -> None:
    async def report() -> None:
        """Say what was done since the last time, if anything was."""
        worker.reporter.report()

    async def watch() -> None:
        """Look whether the model still answers, how everything stands, and what is to be said of it yet."""
        worker.end_if_stuck()
        worker.look()
        say_left_out()

    app.timer(interval=REPORT_S)(report)
    app.timer(interval=WATCH_S)(watch)


def worker_of(app: faust.App) -> Worker:
    """Return the worker that `mount` put into `app`."""
    worker: Worker = getattr(app, WORKER_ATTRIBUTE)
    return worker


def create_app(settings: Settings) -> faust.App:
    """Return a Faust app with nothing in it but the worker."""
    folder = tempfile.mkdtemp(prefix="stream-infer-")
    app = faust.App(
        settings.application_id,
        broker="rdkafka://" + settings.kafka.bootstrap_servers.split(",")[0],
        datadir=folder,
        web_enabled=settings.web.enabled,
        web_bind=settings.web.host,
        web_port=settings.web.port,
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
        autodiscover=False,
        logging_config=logging_of(settings),
    )
    mount(app, settings)
    # Faust makes its folder in the working folder otherwise; the last thing registered is the first one done.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return app


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
