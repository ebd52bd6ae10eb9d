"""Traces: predictions carry the context of their records on, and every batch is a span that links to theirs.

OpenTelemetry is the extra `otel`; nothing of it is imported unless `tracing.enabled` is true. Where spans go and how
many are kept is for OpenTelemetry's own environment variables.
"""

from typing import TYPE_CHECKING

from stream_infer.clock import Clock
from stream_infer.errors import Stop
from stream_infer.settings import Settings
from stream_infer.tracing.context import CARRIED, carry, parents

if TYPE_CHECKING:
    from stream_infer.tracing.spans import Traces

__all__ = ["CARRIED", "carry", "open_traces", "parents"]


def open_traces(settings: Settings, *, clock: Clock) -> "Traces | None":
    """Return where batches are traced, None where `tracing.enabled` is false.

    Raises `Stop` when OpenTelemetry is not installed, or its environment variables name an exporter that is not.
    """
    if not settings.tracing.enabled:
        return None
    try:
        from stream_infer.tracing import spans  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = (
            f"tracing.enabled is true, but {error.name} is not installed: expected the extra otel, "
            "in a checkout pip install '.[otel]'"
        )
        raise Stop(message) from error
    return spans.open_with(settings, clock=clock)
