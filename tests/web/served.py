"""The pages of a worker without Kafka: Faust's own web server, a real model, and the compute thread that scores."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import faust
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from stream_infer.clock import SystemClock
from stream_infer.errors import Drained
from stream_infer.model import LoadedVersion, ModelSlot
from stream_infer.pipeline.compute import ComputeThread
from stream_infer.pipeline.inbox import Inbox
from stream_infer.settings import Settings, load_settings
from stream_infer.web import add_document, add_pages, add_predictions
from tests.pipeline.scored import Ground

READY_S = 30.0


@dataclass(slots=True)
class Bench:
    """A worker as the pages see it."""

    settings: Settings
    inbox: Inbox
    slot: ModelSlot | None
    clock: SystemClock = field(default_factory=SystemClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    reasons: list[str] = field(default_factory=list)

    def sick_reasons(self) -> Sequence[str]:
        return []

    def unready_reasons(self) -> Sequence[str]:
        return self.reasons

    def models(self) -> Mapping[str, object]:
        return {}


@dataclass(slots=True)
class Site:
    """A web server's client, the worker behind it, and the ground that its scorer stands on."""

    client: "TestClient[Any, Any]"
    bench: Bench
    ground: Ground
    compute: ComputeThread

    async def post(self, path: str, body: Any = None, **request: Any) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        given = request or {"json": body}
        async with self.client.post(path, **given) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else await answer.text()

    def counted(self, name: str, **labels: str) -> float:
        """Return what a metric of the pages stands at."""
        return self.bench.registry.get_sample_value(f"stream_infer_{name}", labels) or 0.0


@asynccontextmanager
async def site(version: LoadedVersion, *sets: str, scoring: bool = True, **ground: Any) -> AsyncIterator[Site]:
    """Serve the pages while the block runs; with `scoring` false nobody answers what they ask."""
    settings = load_settings(None, ["web.predict=true", *sets], {})
    laid = Ground(version, **ground)
    bench = Bench(settings, laid.inbox, laid.slot)
    app = faust.App("pages", broker="memory://", autodiscover=False)
    add_pages(app, bench)
    add_document(app, bench)
    if settings.web.predict:
        add_predictions(app, bench)
    failures: list[BaseException] = []
    compute = ComputeThread(inbox=laid.inbox, prepare=lambda: laid.scorer, failed=failures.append)
    if scoring:
        compute.start()
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        try:
            yield Site(client, bench, laid, compute)
        finally:
            laid.inbox.drain()
            compute.join()
            laid.inbox.close(Drained("the test is over"))
    assert failures == []
