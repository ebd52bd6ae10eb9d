"""Predictions over HTTP: what the stream would say of the same events, and why not, where it would not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from stream_infer.avro import load_schema
from stream_infer.cli.event_writer import EventWriter
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline.inbox import Score
from stream_infer.pipeline.reject import PREFIX
from stream_infer.settings import load_settings
from stream_infer.web.predict import MOST_REQUESTS
from tests.pipeline.rolled import broken
from tests.pipeline.scored import Ground
from tests.web.served import Site, site

BAD_ROWS = [
    ({}, "features", "features is missing, expected array"),
    ({"features": None}, "features", "features is None, expected array"),
    ({"features": [1]}, "features", "field features has 1 items, expected 2"),
    ({"features": [1, None]}, "features[1]", "features[1] is None, expected a number"),
    ({"features": [1, True]}, "features[1]", "features[1] is True, expected a number"),
    ({"features": [1, 1e39]}, "features[1]", "features[1] is 1e+39, expected a number that a float holds"),
    (
        {"featurs": [1, 2]},
        "featurs",
        "featurs is no field of stream_infer.FeatureEvent, expected one that is: features is near",
    ),
    ([1, 2], None, "the value is [1, 2], expected record"),
    ({"features": [99, 0]}, None, "model default version 1 failed on a batch of 1: "),
    ({"features": [3, 0]}, None, "the model's scores hold NaN or infinity: expected finite numbers"),
]


def run(test: Callable[[Site], Awaitable[None]], version: LoadedVersion, *sets: str, **laid: Any) -> None:
    """Run a test against a site of its own."""

    async def within() -> None:
        async with site(version, *sets, **laid) as served:
            await test(served)

    asyncio.run(within())


def test_an_object_is_answered_with_what_the_model_says_of_it_and_which_version_did(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        expected = {"prediction": 1, "label": "yes", "confidence": 3.0, "scores": [2.0, 3.0], "model_version": "1"}
        assert await served.post("/predict", {"features": [1, 0.5]}) == (200, expected)

    run(test, loaded)


def test_a_list_is_answered_in_its_order_however_many_calls_it_takes(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        rows = [{"features": [number % 3, 0]} for number in range(50)]
        status, answers = await served.post("/batch_predict", rows)
        assert status == 200
        assert [one["scores"][0] for one in answers] == [2.0 * (number % 3) for number in range(50)]
        assert await served.post("/batch_predict", []) == (200, [])
        assert served.counted("http_predictions_total") == 50
        assert served.counted("http_requests_total", path="/batch_predict", status="200") == 2

    run(test, loaded, "batching.max_batch_size=8")


def test_fields_that_the_model_does_not_read_may_be_there_and_need_not_be_right(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        event = {"event_id": 7, "entity_id": None, "features": [2, 0]}
        status, answer = await served.post("/predict", event)
        assert (status, answer["scores"]) == (200, [4.0, 5.0])

    run(test, loaded)


@pytest.mark.parametrize(("row", "field", "message"), BAD_ROWS)
def test_a_row_that_cannot_be_scored_is_answered_with_its_field_what_was_found_and_what_was_expected(
    loaded: LoadedVersion, row: Any, field: str | None, message: str
) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post("/predict", row)
        assert status == 422
        assert answer["error"].startswith(message)
        assert [(one["field"], one["message"]) for one in answer["errors"]] == [(field, answer["error"])]
        status, answer = await served.post("/batch_predict", [{"features": [1, 0]}, row])
        assert status == 422
        assert answer["error"].startswith(f"row 1: {message}")
        assert [(one["row"], one["field"]) for one in answer["errors"]] == [(1, field)]

    run(test, loaded)


def test_every_bad_row_of_a_list_is_named(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        rows = [{"features": [1]}, {"features": [1, 2]}, {"features": []}]
        status, answer = await served.post("/batch_predict", rows)
        assert (status, [one["row"] for one in answer["errors"]]) == (422, [0, 2])

    run(test, loaded)


@pytest.mark.parametrize("features", [[1, 0], [1], [], [1, 2, 3], [99, 0], [3, 0], ["NaN", 0]], ids=str)
def test_an_object_is_answered_as_the_event_that_it_stands_for(loaded: LoadedVersion, features: list[Any]) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post("/predict", {"features": features})
        prediction, refusal = on_stream(loaded, {"entity_id": "x", "features": features})
        if status == 200:
            del answer["model_version"]
            assert refusal is None
            assert prediction is not None
            assert {name: prediction[name] for name in answer} == answer
        else:
            assert (status, answer["error"]) == (422, refusal)

    run(test, loaded)


def on_stream(version: LoadedVersion, event: dict[str, Any]) -> tuple[dict[str, object] | None, str | None]:
    """Return the prediction that the stream makes of an event, or why it refuses it."""
    settings = load_settings(None, [], {})
    schema = load_schema(settings.schemas.input)
    ground = Ground(version)
    writer = EventWriter(
        schema,
        frame=b"\xc3\x01" + schema.fingerprint,
        key_field=None,
        fields=settings.schemas.fields,
        clock=SystemClock(),
    )
    ground.assign(0)
    ground.poll([ground.value(1)] * 4 + [writer.event(json.dumps(event)).value])
    ground.turn(4, after_s=2.0)
    letters = [dict(one.headers) for one in ground.dead_letters()]
    refusal = (letters[0][PREFIX + "message"] or b"").decode() if letters else None
    predictions = [one for one in ground.predictions() if one["source_offset"] == 4]
    return (predictions[0] if predictions else None), refusal


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"features": [NaN, 0]}', b"[" * 100_000, b"1" * 5_000], ids=lambda body: body[:9]
)
@pytest.mark.parametrize("path", ["/predict", "/batch_predict"])
def test_a_body_that_is_no_json_is_told_so(loaded: LoadedVersion, path: str, body: bytes) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post(path, data=body)
        assert (status, answer["error"][:26]) == (400, "the body is not valid JSON")

    run(test, loaded)


def test_a_single_object_is_no_list(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post("/batch_predict", {"features": [1, 0]})
        assert (status, answer["error"]) == (
            422,
            "the body is no list, expected a list of objects: /predict takes a single one",
        )

    run(test, loaded)


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100 + 1):
        yield b" " * 100


def test_a_body_is_refused_that_is_longer_than_allowed_whether_it_says_so_or_not(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        exact = json.dumps({"features": [1, 0]}).encode().ljust(1000)
        assert (await served.post("/predict", data=exact))[0] == 200
        assert (await served.post("/predict", data=exact + b" "))[0] == 413
        status, answer = await served.post("/predict", data=in_pieces(2000))
        assert (status, answer["error"]) == (
            413,
            "the body has more bytes than web.max_body_bytes allows, expected at most 1000",
        )

    run(test, loaded, "web.max_body_bytes=1000")


def test_a_body_that_never_ends_is_not_waited_for(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        async def slowly() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.get_running_loop().create_future()

        status, answer = await served.post("/predict", data=slowly())
        assert (status, answer["error"]) == (408, "the body was not here within web.predict_timeout_s, 0.2 s")

    run(test, loaded, "web.predict_timeout_s=0.2")


def test_a_worker_that_is_not_ready_says_why(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        served.bench.reasons = ["the worker is draining"]
        answer = {"error": "the worker is not ready", "reasons": ["the worker is draining"]}
        assert await served.post("/predict", {"features": [1, 0]}) == (503, answer)
        served.bench.reasons = []
        served.bench.slot = None
        assert (await served.post("/predict", {"features": [1, 0]}))[0] == 503

    run(test, loaded)


def test_nobody_waits_longer_than_told_and_no_more_ask_than_there_are_places(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        row = {"features": [1, 0]}
        everybody = await asyncio.gather(*(served.post("/predict", row) for _ in range(MOST_REQUESTS + 5)))
        assert sorted(status for status, _ in everybody) == [429] * 5 + [503] * MOST_REQUESTS
        late = {answer["error"] for status, answer in everybody if status == 503}
        assert late == {"no answer within web.predict_timeout_s, 2 s: ask again later"}
        # Their places are free again, and nobody works for those who are gone.
        served.compute.start()
        assert (await served.post("/predict", row))[0] == 200
        assert served.counted("http_requests_total", path="/predict", status="429") == 5

    run(test, loaded, "web.predict_timeout_s=2", scoring=False)


def test_a_model_that_fails_on_everything_is_no_fault_of_the_request(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post("/predict", {"features": [1, 0]})
        assert (status, answer["error"][:30]) == (500, "the model fails on everything:")

    run(test, broken(loaded, "2"))


async def until_asked(served: Site) -> None:
    """Return when a request has asked the compute thread, which is not started."""
    inbox = served.bench.inbox
    message = await asyncio.get_running_loop().run_in_executor(None, inbox.get, 30)
    assert isinstance(message, Score)
    inbox.put(message)


def test_a_request_is_answered_by_the_version_that_served_when_it_came(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        slot = served.bench.slot
        assert slot is not None
        asked = asyncio.create_task(served.post("/predict", {"features": [1, 0]}))
        await until_asked(served)
        swapped = served.bench.inbox.serve(Serving(1, replace(loaded, version="2")))
        served.compute.start()
        status, answer = await asked
        assert (status, answer["model_version"]) == (200, "1")
        assert not slot.is_leased(loaded)
        await asyncio.wrap_future(swapped)
        assert (await served.post("/predict", {"features": [1, 0]}))[1]["model_version"] == "2"

    run(test, loaded, scoring=False)


def test_a_worker_that_ends_refuses_who_waits(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        asked = asyncio.create_task(served.post("/predict", {"features": [1, 0]}))
        await until_asked(served)
        served.bench.inbox.close(Stop("the worker has drained"))
        assert await asked == (503, {"error": "the worker has drained"})

    run(test, loaded, scoring=False)


def test_what_json_cannot_say_is_null(loaded: LoadedVersion) -> None:
    async def test(served: Site) -> None:
        status, answer = await served.post("/predict", {"features": [3, 0]})
        assert (status, answer["scores"], answer["confidence"]) == (200, [None, None], None)

    run(test, loaded, "delivery.non_finite=pass")


def test_a_model_that_writes_to_its_inputs_is_asked_again_with_the_same(loaded: LoadedVersion) -> None:
    def call(x: torch.Tensor) -> torch.Tensor:
        scores = loaded.call(x)
        x.fill_(9)
        return scores

    async def test(served: Site) -> None:
        first = await served.post("/predict", {"features": [1, 0]})
        assert await served.post("/predict", {"features": [1, 0]}) == first

    run(test, replace(loaded, call=call, writes_inputs=True))
