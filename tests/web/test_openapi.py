"""The document says of a row exactly what the pages do with it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from stream_infer.avro import AvroSchema, parse_schema
from stream_infer.model import LoadedVersion, Manifest
from stream_infer.web.openapi import document
from stream_infer.web.refusals import Refused
from stream_infer.web.rows import read_columns
from tests.web.served import site

EVENT = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "features", "type": {"type": "array", "items": "float"}},
        {"name": "amount", "type": ["null", "double"], "default": None},
        {"name": "age", "type": "int", "default": 7},
        {"name": "count", "type": "long"},
        {"name": "is_new", "type": "boolean"},
        {
            "name": "customer",
            "type": {
                "type": "record",
                "name": "Customer",
                "fields": [{"name": "score", "type": "float"}, {"name": "name", "type": "string"}],
            },
        },
        {
            "name": "shop",
            "type": [
                "null",
                {"type": "record", "name": "Shop", "fields": [{"name": "size", "type": "int"}]},
            ],
        },
        {"name": "pair", "type": {"type": "array", "items": ["null", "int"]}, "default": [1, 2]},
    ],
}
READER = parse_schema(json.dumps(EVENT))
FEATURES = {"name": "x", "field": "features", "shape": [2]}
GOOD: Mapping[str, Any] = {
    "id": "a",
    "features": [1, 2.5],
    "amount": 1e300,
    "age": 3,
    "count": 4,
    "is_new": True,
    "customer": {"score": 1, "name": "x"},
    "shop": {"size": 3},
    "pair": [1, 2],
}
INPUTS = {
    "array": [FEATURES],
    "scalars": [{"name": "x", "fields": ["amount", "age"], "dtype": "float32"}],
    "scalars, null stands for 0": [{"name": "x", "fields": ["amount", "age"], "dtype": "float32", "nulls": 0}],
    "small whole numbers": [{"name": "x", "field": "count", "dtype": "uint8", "shape": []}],
    "truths": [{"name": "x", "field": "is_new", "dtype": "bool", "shape": []}],
    "nested": [{"name": "x", "field": "customer.score", "shape": []}],
    "nested in what may be null": [{"name": "x", "field": "shop.size", "dtype": "int64", "shape": []}],
    "nested in what may be null, null stands for 1": [
        {"name": "x", "field": "shop.size", "dtype": "int64", "shape": [], "nulls": 1}
    ],
    "nulls in an array": [{"name": "x", "field": "pair", "shape": [2], "nulls": 0.5}],
    "no nulls in an array": [{"name": "x", "field": "pair", "shape": [2]}, FEATURES],
    "a default too short": [{"name": "x", "field": "pair", "shape": [3]}],
}
VALUES = [
    None, True, 0, -1, 255, 256, 2**31, 2**63, -(2**63), 0.5, 1e39, 3.402823466385289e38, "1", [], [1], [1, 2],
    [None, 1], [1, None], [1, "2"], [1, 2, 3], [1.5, 2], {}, {"score": 1}, {"score": 1, "name": 5}, {"score": None},
    {"size": 1}, {"size": 1, "depth": 2}, {"score": 1, "nme": "x"},
]  # fmt: skip


def manifest_of(inputs: Any) -> Manifest:
    return Manifest.model_validate(
        {"format": "export", "artifact": "m", "inputs": inputs, "outputs": {"task": "raw"}, "files": {"m": FILE}}
    )


FILE = {"sha256": "0" * 64, "size_bytes": 1}


def rows() -> list[Any]:
    """Return a good row, and every row that differs from it in one field."""
    lacking = [{name: value for name, value in GOOD.items() if name != left} for left in GOOD]
    other = [{**GOOD, name: value} for name in GOOD for value in VALUES]
    return [GOOD, *lacking, *other, {**GOOD, "unknown": 1}, {}, [], None, "text"]


def is_taken(row: Any, reader: AvroSchema, manifest: Manifest) -> bool:
    try:
        read_columns([row], reader, manifest, single=True)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_a_row_is_right_by_the_document_exactly_when_it_is_taken(inputs: Any) -> None:
    manifest = manifest_of(inputs)
    shape = Draft202012Validator(document(manifest, READER)["components"]["schemas"]["Row"])
    said = {json.dumps(row): (shape.is_valid(row), is_taken(row, READER, manifest)) for row in rows()}
    assert {row: words for row, words in said.items() if words[0] != words[1]} == {}
    assert {True, False} == {is_valid for is_valid, _ in said.values()}


def test_a_document_that_says_less_than_the_pages_ask_is_found() -> None:
    manifest = manifest_of([FEATURES])
    assert not is_taken({"features": [1]}, READER, manifest)
    assert Draft202012Validator({"type": "object"}).is_valid({"features": [1]})


@pytest.mark.parametrize("predict", ["true", "false"])
def test_the_document_names_the_pages_that_are_served_and_no_others(loaded: LoadedVersion, predict: str) -> None:
    async def test() -> None:
        async with site(loaded, f"web.predict={predict}") as served, served.client.get("/openapi.json") as answer:
            described = await answer.json()
            expected = {"/health", "/ready", "/metrics", "/models", "/openapi.json"}
            expected |= {"/predict", "/batch_predict"} if predict == "true" else set()
            assert set(described["paths"]) == expected
            assert ("Row" in described["components"]["schemas"]) == (predict == "true")
            answers = [(await served.post(path, {"features": [1, 0]}))[0] for path in ("/predict",)]
            assert answers == ([200] if predict == "true" else [404])

    asyncio.run(test())


def test_before_anything_serves_any_object_may_be_a_row() -> None:
    schemas = document(None, READER)["components"]["schemas"]
    assert schemas["Row"] == {"type": "object"}
