"""Spans of batches, by OpenTelemetry's SDK: sampled, gathered and exported as its environment variables say."""

import logging
import os
import threading
from collections.abc import Mapping
from importlib.metadata import entry_points
from itertools import islice
from typing import Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanKind, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stream_infer import __version__
from stream_infer.clock import Clock
from stream_infer.errors import Stop
from stream_infer.logs import Repeated
from stream_infer.records import Records
from stream_infer.settings import Settings
from stream_infer.tracing.context import parents

log = logging.getLogger(__name__)
repeated = Repeated(log, by_text=True)

MOST_LINKS: Final = 128
"""Of one span, as many as OpenTelemetry keeps unless told otherwise: a batch of thousands links to its first."""
FLUSH_S: Final = 5.0
NS_PER_S: Final = 1_000_000_000
EXPORTERS: Final = "opentelemetry_traces_exporter"
BY_PROTOCOL: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class Traces:
    """Makes a span of each batch that holds a record whose sender records a trace. Used by the compute thread."""

    def __init__(self, provider: TracerProvider, *, group: str, clock: Clock) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("stream_infer", __version__)
        self._group = group
        self._clock = clock
        self._context = TraceContextTextMapPropagator()

    def sent(self, records: Records, about: Mapping[str, str | int]) -> None:
        """Note a batch whose answers are with the producer: its span began when the oldest record arrived."""
        links = list(islice(filter(None, map(self._link, parents(records.headers))), MOST_LINKS))
        if not links:
            return
        topic = records.runs[0].source.topic
        ended_ns = int(self._clock.wall_s() * NS_PER_S)
        took_ns = int((self._clock.monotonic_s() - records.arrived_s) * NS_PER_S)
        span = self._tracer.start_span(
            f"process {topic}",
            kind=SpanKind.CONSUMER,
            links=links,
            start_time=ended_ns - max(0, took_ns),
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.consumer.group.name": self._group,
                "messaging.batch.message_count": len(records),
                **about,
            },
        )
        span.end(ended_ns)

    def _link(self, carrier: dict[str, str]) -> Link | None:
        parent = get_current_span(self._context.extract(carrier)).get_span_context()
        return Link(parent) if parent.is_valid else None

    def close(self, *, within_s: float = FLUSH_S) -> None:
        """Export what is left, in bounded time: a collector that is away must not hold up the end of a worker."""
        ending = threading.Thread(target=self._provider.shutdown, name="stream-infer-traces", daemon=True)
        ending.start()
        ending.join(within_s)
        if ending.is_alive():
            log.warning("the last spans could not be exported within %g s and are lost", within_s)


class _FewLines(logging.Handler):
    """Takes what the SDK says, which is a line for each attempt to reach a collector that is away."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, unless the like was said within a minute."""
        repeated.log(record.levelno, record.getMessage())


def open_with(settings: Settings, *, clock: Clock) -> Traces:
    """Return traces that go where `OTEL_TRACES_EXPORTER` says: by default to a collector, over OTLP."""
    ours = {
        "service.name": settings.application_id,
        "service.version": __version__,
        "service.instance.id": settings.worker_id,
    }
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _hear_the_sdk()
    if (exporter := make_exporter(os.environ)) is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider, group=settings.application_id, clock=clock)


def _hear_the_sdk() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [_FewLines()]


def make_exporter(environment: Mapping[str, str]) -> SpanExporter | None:
    """Return the exporter that the environment names; None for `none`. Raises `Stop` for one that is not installed."""
    chosen = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if chosen == "none":
        return None
    name = _by_protocol(environment) if chosen == "otlp" else chosen
    found = next(iter(entry_points(group=EXPORTERS, name=name)), None)
    if found is None:
        there = ", ".join(sorted({"none", "otlp", *entry_points(group=EXPORTERS).names}))
        message = f"OTEL_TRACES_EXPORTER is {chosen}, and no exporter {name} is installed: expected one of {there}"
        raise Stop(message)
    exporter: SpanExporter = found.load()()
    return exporter


def _by_protocol(environment: Mapping[str, str]) -> str:
    variable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    variable = variable if environment.get(variable) else "OTEL_EXPORTER_OTLP_PROTOCOL"
    protocol = environment.get(variable) or "http/protobuf"
    if protocol not in BY_PROTOCOL:
        raise Stop(f"{variable} is {protocol}: expected one of {', '.join(BY_PROTOCOL)}")
    return BY_PROTOCOL[protocol]
