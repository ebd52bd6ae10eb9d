"""A collector of spans: it takes what comes over OTLP and HTTP, and keeps it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


@dataclass(slots=True)
class Collector:
    """What came: `port` is where."""

    port: int
    resources: list[ResourceSpans] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Return all spans, in the order in which they came."""
        return [span for one in self.resources for scope in one.scope_spans for span in scope.spans]

    def services(self) -> set[str]:
        """Return the names of those who sent spans."""
        found = (pair for one in self.resources for pair in one.resource.attributes)
        return {pair.value.string_value for pair in found if pair.key == "service.name"}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Give a collector that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.resources.extend(ExportTraceServiceRequest.FromString(body).resource_spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        listening = threading.Thread(target=server.serve_forever)
        listening.start()
        try:
            yield collector
        finally:
            server.shutdown()
            listening.join()
