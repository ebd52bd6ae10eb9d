"""The pages of predictions, `POST /predict` and `POST /batch_predict`, and `/openapi.json`, which describes all."""

import json
from http import HTTPStatus
from typing import Any, Final, Protocol

import faust
from faust.web import Response, View
from prometheus_client import CollectorRegistry

from stream_infer.avro import load_schema
from stream_infer.clock import Clock
from stream_infer.web.counts import PredictCounts
from stream_infer.web.openapi import document
from stream_infer.web.predict import Predicting, Predictor
from stream_infer.web.refusals import Refused

PREDICT: Final = "/predict"
BATCH_PREDICT: Final = "/batch_predict"
OPENAPI: Final = "/openapi.json"
RETRY_AFTER: Final = {"Retry-After": "1"}
AGAIN: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers after which the same request may be answered."""


class Asked(Predicting, Protocol):
    """What the pages need of a worker."""

    @property
    def clock(self) -> Clock:
        """Return where the time comes from."""
        ...

    @property
    def registry(self) -> CollectorRegistry:
        """Return the metrics."""
        ...


def add_document(app: faust.App, worker: Asked) -> None:
    """Add `/openapi.json`; raises `WrongUse` when the input schema is needed and cannot be used."""
    settings = worker.settings
    reader = load_schema(settings.schemas.input) if settings.web.predict else None

    @app.page(OPENAPI)
    async def openapi(view: View, request: Any) -> Response:
        """Describe the pages."""
        manifest = worker.slot.serving.stable.manifest if worker.slot else None
        return view.json(document(manifest, reader))


class Answering:
    """Answers requests and counts them."""

    def __init__(self, worker: Asked) -> None:
        self._clock = worker.clock
        self._predictor = Predictor(worker, load_schema(worker.settings.schemas.input))
        self._counts = PredictCounts(worker.registry, paths=(PREDICT, BATCH_PREDICT))

    async def respond(self, view: View, request: Any, *, single: bool) -> Response:
        """Return the response to a request of one object, or of a list where not `single`."""
        began_s = self._clock.monotonic_s()
        body: Any
        try:
            rows = await self._predictor.answer(request, single=single)
        except Refused as refused:
            rows, status, body = [], refused.status, refused.body
        else:
            status, body = HTTPStatus.OK, (rows[0] if single else rows)
        took_s = self._clock.monotonic_s() - began_s
        self._counts.answered(PREDICT if single else BATCH_PREDICT, status, rows=len(rows), took_s=took_s)
        # Not `view.json`: what JSON library Faust takes, and what that makes of odd text, depends on what is installed.
        text = json.dumps(body, allow_nan=False)
        headers = dict(RETRY_AFTER) if status in AGAIN else None
        return view.text(text, content_type="application/json", status=status, headers=headers)


def add_predictions(app: faust.App, worker: Asked) -> None:
    """Add the pages to the app's web server; raises `WrongUse` when the input schema cannot be used."""
    answering = Answering(worker)

    @app.page(PREDICT)
    class Predict(View):
        """Score one object."""

        async def post(self, request: Any) -> Response:
            return await answering.respond(self, request, single=True)

    @app.page(BATCH_PREDICT)
    class BatchPredict(View):
        """Score a list of objects."""

        async def post(self, request: Any) -> Response:
            return await answering.respond(self, request, single=False)
