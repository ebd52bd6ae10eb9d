"""Rows that came over HTTP, scored by the version that serves, between the stream's batches."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Protocol

import pyarrow as pa
from aiohttp.web import Request

from stream_infer.avro import AvroSchema
from stream_infer.errors import StreamInferError
from stream_infer.model import LoadedVersion, ModelSlot, Scored, Serving
from stream_infer.pipeline.inbox import Inbox
from stream_infer.pipeline.isolate import ModelBroken
from stream_infer.settings import Settings
from stream_infer.web.answers import to_objects
from stream_infer.web.body import parse_body, read_body
from stream_infer.web.refusals import Fault, Refused, unprocessable, unready
from stream_infer.web.rows import read_columns, rows_of

MOST_REQUESTS: Final = 64
"""Requests under way at once: with `web.max_body_bytes` this bounds the memory that they take."""
UNLOADED: Final = "no version of the model serves yet"


class Predicting(Protocol):
    """What predictions need of a worker."""

    settings: Settings
    inbox: Inbox
    slot: ModelSlot | None

    def unready_reasons(self) -> Sequence[str]:
        """Return why this worker does not score now; empty when it does."""
        ...


class Predictor:
    """Answers requests, all or nothing, at most `MOST_REQUESTS` at a time. Its methods run on the event loop.

    JSON is read on a thread of its own, one body at a time, so that a long one holds neither the loop nor the batches.
    """

    def __init__(self, worker: Predicting, reader: AvroSchema) -> None:
        self._worker = worker
        self._reader = reader
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="stream-infer-http")
        self._under_way = 0

    async def answer(self, request: Request, *, single: bool) -> list[dict[str, Any]]:
        """Return an object for each row of the request's body, which is one object, or a list where not `single`.

        Raises `Refused`.
        """
        web = self._worker.settings.web
        with self._place():
            if reasons := self._worker.unready_reasons():
                raise unready(reasons)
            body = await read_body(request, web)
            try:
                async with asyncio.timeout(web.predict_timeout_s):
                    return await self._score(body, single=single)
            except TimeoutError:
                message = f"no answer within web.predict_timeout_s, {web.predict_timeout_s:g} s: ask again later"
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, message) from None

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take one of the places; raises `Refused` when there is none."""
        if self._under_way >= MOST_REQUESTS:
            message = f"{self._under_way} requests are under way, expected fewer than {MOST_REQUESTS}: ask again later"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, message)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _score(self, body: bytes, *, single: bool) -> list[dict[str, Any]]:
        """Score what a body holds by what is stable now; a swap on the way changes nothing for it."""
        if self._worker.slot is None:
            raise unready([UNLOADED])
        with self._worker.slot.lease() as serving:
            version = serving.stable
            loop = asyncio.get_running_loop()
            columns = await loop.run_in_executor(self._pool, self._columns, body, version, single)
            answers: list[dict[str, Any]] = []
            while len(answers) < columns.num_rows:
                # One call after the other: whoever asks for less does not wait behind all of it.
                part = columns.slice(len(answers), self._most_rows(version))
                scored = await self._call(serving, part, first=len(answers), single=single)
                answers += to_objects(scored, version)
            return answers

    def _columns(self, body: bytes, version: LoadedVersion, single: bool) -> pa.RecordBatch:  # noqa: FBT001 - see above
        rows = rows_of(parse_body(body), single=single)
        return read_columns(rows, self._reader, version.manifest, single=single)

    def _most_rows(self, version: LoadedVersion) -> int:
        most = self._worker.settings.batching.max_batch_size
        return min(most, version.max_batch_size or most)

    async def _call(self, serving: Serving, part: pa.RecordBatch, *, first: int, single: bool) -> Scored:
        """Have rows scored that begin with row `first` of the request."""
        asked = self._worker.inbox.score(serving, part, non_finite=self._worker.settings.delivery.non_finite)
        try:
            inferred = await asyncio.wrap_future(asked)
        except ModelBroken as error:
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, f"the model fails on everything: {error}") from error
        except StreamInferError as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        faults = [Fault(first + one.row, one.message, one.field) for one in inferred.rejects]
        if faults or inferred.scored is None:
            raise unprocessable(faults, single=single)
        return inferred.scored
