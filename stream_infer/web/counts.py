"""What is counted of predictions over HTTP, apart from what is counted of records."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from stream_infer.metrics import DURATION_BUCKETS_S

STATUSES: Final = (200, 400, 408, 413, 422, 429, 500, 503)


class PredictCounts:
    """Metrics in the worker's registry; written on the event loop. `paths` are those that are counted."""

    def __init__(self, registry: CollectorRegistry, *, paths: tuple[str, ...]) -> None:
        self._requests_total = Counter(
            "stream_infer_http_requests", "Requests for predictions, by answer.", ("path", "status"), registry=registry
        )
        self._rows_total = Counter(
            "stream_infer_http_predictions", "Rows scored over HTTP; records_* know nothing of them.", registry=registry
        )
        self._seconds = Histogram(
            "stream_infer_http_predict_duration_seconds",
            "Time from a request's first line to its answer.",
            ("path",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        for path in paths:
            self._seconds.labels(path)
            for status in STATUSES:
                self._requests_total.labels(path, str(status))

    def answered(self, path: str, status: int, *, rows: int, took_s: float) -> None:
        """Count one request that was answered with this status, and the rows scored for it."""
        self._requests_total.labels(path, str(int(status))).inc()
        self._rows_total.inc(rows)
        self._seconds.labels(path).observe(took_s)
