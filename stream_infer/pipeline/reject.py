"""Reject: records that cannot be scored go to the dead-letter topic, verbatim, with the reason in headers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from stream_infer.errors import Reject, Stop
from stream_infer.pipeline.origin import ATTEMPT, read_attempt
from stream_infer.pipeline.ports import Outgoing, OutputProducer, Unsent
from stream_infer.records import Headers, Records

PREFIX: Final = "__streams.errors."
OMITTED: Final = "stream_infer.omitted_value_bytes"
STAGE: Final = "stream_infer.stage"
MODEL_VERSION: Final = "stream_infer.model_version"
OWN: Final = frozenset(
    {OMITTED, STAGE, MODEL_VERSION, ATTEMPT}
    | {PREFIX + name for name in ("exception", "message", "stacktrace", "topic", "partition", "offset")}
)
"""Headers that a dead letter has behind those of its record; `FIRST` begins them."""
FIRST: Final = PREFIX + "exception"
MOST_CHARACTERS: Final = 1000
"""Of a message, which may be a model's own words of any length."""


class DeadLetters:
    """Sends refused records to one topic. The header names are those of Kafka Streams' dead-letter queue (KIP-1034)."""

    def __init__(self, topic: str, *, producer: OutputProducer) -> None:
        self._topic = topic
        self._producer = producer

    def send(self, records: Records, rejects: Sequence[Reject], *, model_version: str) -> None:
        """Send one batch's refusals, verbatim.

        A record too large for the topic goes without its value, and a header says how many bytes that was: it can be
        found by its position as long as the input holds it, and it holds nobody up. Raises `Stop` when even that
        cannot be written: nothing may be lost.
        """
        if not rejects:
            return
        unsent = self._producer.send(self._letters(records, rejects, model_version))
        if unsent:
            large = [rejects[one.row] for one in unsent]
            unsent = self._producer.send(_without_values(self._letters(records, large, model_version)))
            self._refuse(records, large, unsent)

    def _letters(self, records: Records, rejects: Sequence[Reject], model_version: str) -> Outgoing:
        rows = [reject.row for reject in rejects]
        return Outgoing(
            self._topic,
            [records.keys[row] for row in rows],
            [records.values[row] for row in rows],
            records.timestamps_ms[rows],
            headers=[_headers(records, reject, model_version) for reject in rejects],
        )

    def _refuse(self, records: Records, rejects: Sequence[Reject], unsent: Sequence[Unsent]) -> None:
        for one in unsent:
            source, offset = records.position(rejects[one.row].row)
            message = (
                f"cannot dead-letter {source} offset {offset}: {one.message}; raise max.message.bytes of the topic"
            )
            raise Stop(message)


def _without_values(letters: Outgoing) -> Outgoing:
    sizes = [len(value or b"") for value in letters.values]
    marks = [(OMITTED, b"%d" % size) for size in sizes]
    headers = [[*(own or ()), mark] for own, mark in zip(letters.headers or (), marks, strict=True)]
    return replace(letters, values=[None] * len(letters), headers=headers)


def _headers(records: Records, reject: Reject, model_version: str) -> Headers:
    own = list((records.headers[reject.row] if records.headers else None) or ())
    said = _describe(records, reject, model_version)
    # A model's words may hold what UTF-8 cannot.
    return own + [(name, value.encode("utf-8", "replace")) for name, value in said]


def _describe(records: Records, reject: Reject, model_version: str) -> Iterator[tuple[str, str]]:
    source, offset = records.origin(reject.row)
    yield FIRST, str(reject.reason)
    yield PREFIX + "message", reject.message[:MOST_CHARACTERS]
    yield PREFIX + "stacktrace", ""
    yield PREFIX + "topic", source.topic
    yield PREFIX + "partition", str(source.partition)
    yield PREFIX + "offset", str(offset)
    yield STAGE, str(reject.stage)
    yield MODEL_VERSION, model_version
    yield ATTEMPT, str(_attempt(records, reject.row))


def _attempt(records: Records, row: int) -> int:
    """Return which attempt a record of the retry topic is; 0 for every other, whatever its headers say."""
    is_retry = records.origins is not None and records.origins[row] is not None
    return read_attempt(records.headers[row]) if is_retry and records.headers else 0
