"""The body of a request: as far as it is allowed to go on and to take, and the JSON in it."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from aiohttp.web import Request, RequestPayloadError

from stream_infer.settings import Web
from stream_infer.web.refusals import Refused


async def read_body(request: Request, web: Web) -> bytes:
    """Return a request's body; raises `Refused` for one that is too long, too slow, or breaks off."""
    message = f"the body has more bytes than web.max_body_bytes allows, expected at most {web.max_body_bytes}"
    too_long = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    if (request.content_length or 0) > web.max_body_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(web.predict_timeout_s):
            # What was compressed arrives here unpacked, a piece at a time.
            async for part in request.content.iter_any():
                body += part
                if len(body) > web.max_body_bytes:
                    raise too_long
    except TimeoutError:
        message = f"the body was not here within web.predict_timeout_s, {web.predict_timeout_s:g} s"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, message) from None
    except RequestPayloadError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body cannot be read: {error}") from error
    return bytes(body)


def parse_body(body: bytes) -> Any:
    """Return the JSON value in a body; raises `Refused` for one that holds none."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not valid JSON: {said}") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
