"""`/openapi.json`: the pages in OpenAPI 3.1, with the rows that the serving version reads."""

from collections.abc import Mapping
from typing import Any, Final

from stream_infer import __version__
from stream_infer.avro import AvroSchema
from stream_infer.avro.choice import choose
from stream_infer.model.manifest import Input, Manifest, Outputs
from stream_infer.web.shapes import Shape, row_shape

TEXTS: Final = {"type": "array", "items": {"type": "string"}}
NUMBER_OR_NULL: Final = {"type": ["number", "null"]}
REFUSED: Final = {"$ref": "#/components/schemas/Refused"}
REFUSALS: Final = {
    400: "The body is no JSON.",
    408: "The body did not arrive in time.",
    413: "The body is longer than web.max_body_bytes.",
    422: "A row cannot be scored; every such row is named.",
    429: "Too many requests are under way.",
    500: "The model fails on everything.",
    503: "The worker is not ready, or did not answer within web.predict_timeout_s.",
}
AGAIN: Final = {"Retry-After": {"description": "Seconds until it may be asked again.", "schema": {"type": "integer"}}}


def document(manifest: Manifest | None, reader: AvroSchema | None) -> Shape:
    """Return the document; `manifest` is None while nothing serves, `reader` where predictions are not served."""
    pages = {**_probes(), "/openapi.json": _get("This document.", {"type": "object"})}
    return {
        "openapi": "3.1.0",
        "info": {"title": "stream-infer", "version": __version__, "description": "A worker's pages."},
        "paths": {**pages, **(_predictions() if reader else {})},
        "components": {"schemas": _schemas(manifest, reader)},
    }


def _probes() -> Shape:
    reasons = {"description": "No, and why.", "content": _json(_verdict())}
    return {
        "/health": _get("Whether the loops make progress.", _verdict(), {"503": reasons}),
        "/ready": _get("Whether records are scored.", _verdict(), {"503": reasons}),
        "/metrics": {"get": _operation("Metrics.", {"200": {"description": "Prometheus text.", "content": _text()}})},
        "/models": _get("The versions that this worker holds.", {"type": "object"}),
    }


def _predictions() -> Shape:
    row, answer = ({"$ref": f"#/components/schemas/{name}"} for name in ("Row", "Prediction"))
    return {
        "/predict": _post("Score one row.", row, answer),
        "/batch_predict": _post("Score a list of rows.", _list(row), _list(answer)),
    }


def _schemas(manifest: Manifest | None, reader: AvroSchema | None) -> Shape:
    fault = {
        "type": "object",
        "properties": {
            "row": {"type": "integer", "minimum": 0},
            "field": {"type": ["string", "null"]},
            "message": {"type": "string"},
        },
        "required": ["field", "message"],
    }
    refused = {
        "type": "object",
        "properties": {"error": {"type": "string"}, "errors": _list(fault), "reasons": TEXTS},
        "required": ["error"],
    }
    if reader is None:
        return {}
    row = _row(manifest, reader) if manifest else {"type": "object"}
    return {"Row": row, "Prediction": _prediction(manifest), "Refused": refused}


def _row(manifest: Manifest, reader: AvroSchema) -> Shape:
    specs: Mapping[str, Input] = {path: spec for spec in manifest.inputs for path in spec.sources}
    return row_shape(choose(reader.record, manifest.fields), reader.record, specs)


def _prediction(manifest: Manifest | None) -> Shape:
    outputs = manifest.outputs if manifest else None
    properties = {
        "prediction": {"type": ["integer", "null"]} if _is_class(outputs) else NUMBER_OR_NULL,
        "label": {"enum": [*outputs.labels, None]} if outputs and outputs.labels else {"type": ["string", "null"]},
        "confidence": NUMBER_OR_NULL,
        "scores": {"type": "array", "items": NUMBER_OR_NULL},
        "model_version": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _is_class(outputs: Outputs | None) -> bool:
    return outputs is not None and outputs.task == "classification"


def _verdict() -> Shape:
    return {"type": "object", "properties": {"reasons": TEXTS}, "required": ["reasons"]}


def _list(items: Any) -> Shape:
    return {"type": "array", "items": items}


def _get(summary: str, answer: Shape, more: Shape | None = None) -> Shape:
    good = {"200": {"description": summary, "content": _json(answer)}}
    return {"get": _operation(summary, {**good, **(more or {})})}


def _post(summary: str, body: Shape, answer: Shape) -> Shape:
    refused = {
        str(status): {"description": words, "content": _json(REFUSED), **_headers(status)}
        for status, words in REFUSALS.items()
    }
    good = {"200": {"description": "The answers.", "content": _json(answer)}}
    operation = _operation(summary, {**good, **refused})
    return {"post": {**operation, "requestBody": {"required": True, "content": _json(body)}}}


def _headers(status: int) -> Shape:
    return {"headers": AGAIN} if status in {429, 503} else {}


def _operation(summary: str, responses: Shape) -> Shape:
    return {"summary": summary, "responses": responses}


def _json(schema: Any) -> Shape:
    return {"application/json": {"schema": schema}}


def _text() -> Shape:
    return {"text/plain": {"schema": {"type": "string"}}}
