"""`/health`, `/ready`, `/metrics` and `/models`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import faust
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

OK = 200
UNAVAILABLE = 503


class Watched(Protocol):
    """What the pages show of a worker."""

    @property
    def registry(self) -> CollectorRegistry:
        """Return the metrics."""
        ...

    def sick_reasons(self) -> Sequence[str]:
        """Return why this process should be restarted; empty while its loops make progress."""
        ...

    def unready_reasons(self) -> Sequence[str]:
        """Return why this worker does not score now; empty when it does."""
        ...

    def models(self) -> Mapping[str, object]:
        """Return the versions this worker holds, and their states."""
        ...


def add_pages(app: faust.App, watched: Watched) -> None:
    """Add the pages to the app's web server."""

    @app.page("/health")
    async def health(view: View, request: Request) -> Response:
        """Say whether the loops make progress."""
        return _verdict(view, "alive", watched.sick_reasons())

    @app.page("/ready")
    async def ready(view: View, request: Request) -> Response:
        """Say whether the worker scores."""
        return _verdict(view, "ready", watched.unready_reasons())

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:
        """Show the metrics as Prometheus text."""
        body = generate_latest(watched.registry)
        return view.bytes(body, headers={"Content-Type": CONTENT_TYPE_LATEST}, content_type=None)

    @app.page("/models")
    async def models(view: View, request: Request) -> Response:
        """Show the versions that this worker holds."""
        return view.json(watched.models())


def _verdict(view: View, word: str, reasons: Sequence[str]) -> Response:
    body = {word: not reasons, "reasons": list(reasons)}
    return view.json(body, status=UNAVAILABLE if reasons else OK)
