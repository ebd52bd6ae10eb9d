"""Spans of batches, through the path of a batch, as the SDK's in-memory exporter sees them."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from stream_infer.errors import Stop
from stream_infer.records import Headers
from stream_infer.testing.clock import HandClock
from stream_infer.tracing.spans import MOST_LINKS, Traces, make_exporter
from tests.pipeline.scored import KNOWN, TOPIC, Ground, write_lookup
from tests.pipeline.scored import load as load_version

OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def context(number: int, *, flags: str = "01") -> Headers:
    """Return the headers of a record in a trace and span of their own."""
    return [("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-{flags}".encode())]


class Traced:
    """A scorer whose batches are traced."""

    def __init__(self, folder: Path) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.clock = HandClock(now_s=100.0)
        tracer = Traces(self.provider, group="scorers", clock=self.clock)
        self.ground = Ground(load_version(write_lookup(folder), batch_size=8), tracer=tracer)
        self.ground.assign(0)

    def score(self, values: Sequence[bytes], headers: Sequence[Headers | None] | None) -> Sequence[ReadableSpan]:
        """Score one poll to its end; return the spans."""
        self.ground.poll(values, headers=headers)
        answer = self.ground.inbox.drain()
        self.clock.now_s += 0.25
        self.ground.turn()
        answer.result(0)
        return self.exporter.get_finished_spans()


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    made = Traced(tmp_path)
    yield made
    made.provider.shutdown()


def links(span: ReadableSpan) -> list[tuple[str, str]]:
    return [(format_trace_id(one.context.trace_id), format_span_id(one.context.span_id)) for one in span.links]


def test_a_batch_is_one_span_that_links_to_the_records_of_recorded_traces(traced: Traced) -> None:
    values = [traced.ground.value(1)] * 3 + [traced.ground.value(KNOWN + 5)]
    (span,) = traced.score(values, [context(0), None, context(1, flags="00"), context(2)])
    assert links(span) == [(f"{n:032x}", f"{n:016x}") for n in (1, 3)]
    assert span.kind is SpanKind.CONSUMER
    assert span.parent is None
    assert span.name == f"process {TOPIC}"
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": TOPIC,
        "messaging.consumer.group.name": "scorers",
        "messaging.batch.message_count": 4,
        "stream_infer.model.name": "default",
        "stream_infer.model.version": "1",
        "stream_infer.revision": 0,
        "stream_infer.variant": "stable",
        "stream_infer.dead_letters": 1,
    }


def test_a_span_lasts_from_the_arrival_of_the_oldest_record_to_the_answers(traced: Traced) -> None:
    (span,) = traced.score([traced.ground.value(1)], [context(0)])
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 250_000_000


def test_predictions_carry_the_context_of_their_own_records_on(traced: Traced) -> None:
    headers = [context(0), None, [("other", b"x")], context(1, flags="00")]
    traced.score([traced.ground.value(1)] * 4, headers)
    assert [list(one.headers) for one in traced.ground.producer.delivered] == [
        context(0),
        [],
        [],
        context(1, flags="00"),
    ]


@pytest.mark.parametrize("headers", [None, [None, None], [context(0, flags="00"), [("traceparent", b"nonsense")]]])
def test_a_batch_without_a_recorded_trace_makes_no_span(
    traced: Traced, headers: Sequence[Headers | None] | None
) -> None:
    assert list(traced.score([traced.ground.value(1)] * 2, headers)) == []


def test_a_span_links_to_no_more_records_than_are_kept(tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    count = MOST_LINKS + 10
    traced.score([traced.ground.value(1)] * count, [context(number) for number in range(count)])
    spans = traced.exporter.get_finished_spans()
    assert max(len(span.links) for span in spans) <= MOST_LINKS
    assert sum(int(str((span.attributes or {})["messaging.batch.message_count"])) for span in spans) == count
    traced.provider.shutdown()


def test_without_tracing_predictions_have_no_headers(model_folder: Path) -> None:
    ground = Ground(load_version(model_folder, batch_size=8))
    ground.assign(0)
    ground.poll([ground.value(1)], headers=[context(0)])
    answer = ground.inbox.drain()
    ground.turn()
    answer.result(0)
    assert [list(one.headers) for one in ground.producer.delivered] == [[]]


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_lookup(tmp_path)


class Hanging(SpanExporter):
    """A collector that does not answer until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        self.released.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.ended.set()


def test_a_collector_that_does_not_answer_holds_up_nobody_for_long(caplog: pytest.LogCaptureFixture) -> None:
    exporter, provider = Hanging(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("test").start_span("lost").end()
    Traces(provider, group="scorers", clock=HandClock()).close(within_s=0.05)
    assert "the last spans could not be exported within 0.05 s and are lost" in caplog.messages
    exporter.released.set()
    assert exporter.ended.wait(30)


def in_a_process(script: str) -> str:
    """Run a script in a process of its own and return what it printed."""
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


def test_nothing_of_opentelemetry_is_imported_while_tracing_is_off() -> None:
    script = """
import sys
from stream_infer.clock import SystemClock
from stream_infer.settings import load_settings
from stream_infer.tracing import open_traces
import stream_infer.worker
assert open_traces(load_settings(None, ["topics.input=events"], {}), clock=SystemClock()) is None
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    assert in_a_process(script) == "[]\n"


def test_without_the_extra_it_is_said_what_to_install() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop
from stream_infer.settings import load_settings
from stream_infer.tracing import open_traces
settings = load_settings(None, ["topics.input=events", "tracing.enabled=true"], {})
try:
    open_traces(settings, clock=SystemClock())
except Stop as error:
    print(error)
"""
    said = in_a_process(script)
    assert said.startswith("tracing.enabled is true, but opentelemetry")
    assert said.strip().endswith("expected the extra otel, in a checkout pip install '.[otel]'")


def test_exporters_are_chosen_by_opentelemetry_s_own_variables() -> None:
    assert make_exporter({"OTEL_TRACES_EXPORTER": "none"}) is None
    assert type(make_exporter({})).__module__ == OTLP
    assert type(make_exporter({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})).__module__ == OTLP
    assert type(make_exporter({"OTEL_TRACES_EXPORTER": "console"})).__name__ == "ConsoleSpanExporter"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is zipkin, and no exporter zipkin is installed"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "avian"}, "OTEL_EXPORTER_OTLP_PROTOCOL is avian: expected one of"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "avian", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is avian: expected one of",
        ),
    ],
)
def test_an_exporter_that_is_not_there_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(Stop, match=said):
        make_exporter(variables)
