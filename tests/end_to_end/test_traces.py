"""Traces from a sender that OpenTelemetry instruments, through a worker, to whoever reads predictions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from tests.checker.laws import unanswered
from tests.checker.reading import read_topic
from tests.end_to_end.collector import collecting
from tests.end_to_end.events import FLUSH_TIMEOUT_S, Sent, make_events
from tests.end_to_end.job import WIDTH, Job, JobMaker

TRACED, UNTRACED = 40, 10


@contextmanager
def instrumented(bootstrap_servers: str) -> Iterator[tuple[Producer, InMemorySpanExporter]]:
    """Give a producer of confluent-kafka as OpenTelemetry's own instrumentation wraps it, and its spans."""
    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})
    yield ConfluentKafkaInstrumentor.instrument_producer(producer, provider), spans
    provider.shutdown()


def send_traced(job: Job, events: Sequence[Sent]) -> Sequence[ReadableSpan]:
    """Send events, each in a trace of its own; return the sender's spans, in that order."""
    with instrumented(job.bootstrap_servers) as (producer, spans):
        for one in events:
            producer.produce(job.input, value=one.value, key=one.key, timestamp=one.timestamp_ms)
        assert producer.flush(FLUSH_TIMEOUT_S) == 0
        return spans.get_finished_spans()


def ids(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def carried(job: Job) -> list[tuple[str, str]]:
    """Return trace and span of every prediction that carries them."""
    headers = [dict(one.headers() or []).get("traceparent") for one in read_topic(job.bootstrap_servers, job.output)]
    parts = [one.decode().split("-") for one in headers if isinstance(one, bytes)]
    return [(trace, span) for _, trace, span, _ in parts]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_trace_goes_on_in_the_prediction_and_the_batch_s_span_links_to_it(make_job: JobMaker, guarantee: str) -> None:
    job = make_job(settings={"tracing": {"enabled": True}, "delivery": {"processing_guarantee": guarantee}})
    events = make_events(TRACED + UNTRACED, width=WIDTH)
    sent = {ids(span) for span in send_traced(job, events[:TRACED])}
    job.send(events[TRACED:])
    with collecting() as collector, job.crew() as crew:
        worker = crew.start(env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"})
        crew.until_done()
        assert crew.drain(worker) == 0
    assert len(sent) == TRACED
    assert set(carried(job)) == sent
    assert len(carried(job)) == TRACED
    linked = [(link.trace_id.hex(), link.span_id.hex()) for span in collector.spans() for link in span.links]
    assert sorted(linked) == sorted(sent)
    assert collector.services() == {job.application_id}
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []


def test_a_collector_that_is_away_costs_spans_and_nothing_else(make_job: JobMaker, nowhere: str) -> None:
    job = make_job(settings={"tracing": {"enabled": True}})
    sent = {ids(span) for span in send_traced(job, make_events(TRACED, width=WIDTH))}
    with job.crew() as crew:
        worker = crew.start(env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{nowhere}"})
        crew.until_done()
        assert crew.drain(worker) == 0
    # A line for each attempt would be dozens a minute: the first, and at the end how many there were.
    said = [line for line in worker.log_text().splitlines() if "127.0.0.1" in line]
    assert len(said) in {1, 2}, said
    assert set(carried(job)) == sent
    job.assert_lawful(job.history(crew.watch.observed))
