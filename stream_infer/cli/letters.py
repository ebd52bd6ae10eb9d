"""Dead letters as a person looks at them: which there are, why, and where each came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from confluent_kafka import Message

from stream_infer.cli.whole_topic import read_whole
from stream_infer.pipeline.origin import MOST_OFFSET, MOST_PARTITION, read_attempt, read_number
from stream_infer.pipeline.reject import FIRST, MODEL_VERSION, OMITTED, PREFIX, STAGE
from stream_infer.records import Headers, Partition, Place
from stream_infer.settings import Settings
from stream_infer.transport.columns import headers_of, source_of

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of the dead-letter topic.

    `place` is where it lies there, `origin` the input record that it was, None when its headers do not tell; `attempt`
    counts replays, 0 for none; `value` is None when it was left out for its size, which `omitted_bytes` says.
    `own_headers` are those that the record came with, those of a replay included.
    """

    place: Place
    origin: Place | None
    reason: str
    stage: str
    message: str
    model_version: str
    attempt: int
    omitted_bytes: int | None
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    own_headers: Headers


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: all unless told otherwise; partition and offset are the dead-letter topic's."""

    reasons: tuple[str, ...] = ()
    partition: int | None = None
    offset: int | None = None
    limit: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is meant, `limit` aside."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and self.partition in {None, letter.place.source.partition}
            and self.offset in {None, letter.place.offset}
        )


def read_letters(settings: Settings, selection: Selection) -> Iterator[Letter]:
    """Yield the selected letters that the dead-letter topic holds now, those of one partition in their order."""
    letters = map(letter_of, read_whole(settings, settings.topics.dead_letter))
    return islice(filter(selection.takes, letters), selection.limit)


def letter_of(message: Message) -> Letter:
    """Return a record of the dead-letter topic as a letter; what its headers do not tell is unknown."""
    own, added = _parted(headers_of(message) or [])
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in added}
    _, stamp_ms = message.timestamp()
    return Letter(
        place=Place(source_of(message), int(message.offset() or 0)),
        origin=_origin(added),
        reason=said.get(PREFIX + "exception", UNKNOWN),
        stage=said.get(STAGE, UNKNOWN),
        message=said.get(PREFIX + "message", ""),
        model_version=said.get(MODEL_VERSION, UNKNOWN),
        attempt=read_attempt(added),
        omitted_bytes=read_number(dict(added).get(OMITTED), MOST_OFFSET),
        key=message.key(),
        value=message.value(),
        timestamp_ms=stamp_ms,
        own_headers=own,
    )


def _parted(headers: Headers) -> tuple[Headers, Headers]:
    """Return the headers that a record came with, and those that the worker added behind them.

    Whoever wrote the record may have used the same names; only what the worker wrote counts.
    """
    starts = [at for at, (name, _) in enumerate(headers) if name == FIRST]
    start = starts[-1] if starts else len(headers)
    return headers[:start], headers[start:]


def _origin(added: Headers) -> Place | None:
    found = dict(added)
    topic = (found.get(PREFIX + "topic") or b"").decode("utf-8", "replace")
    partition = read_number(found.get(PREFIX + "partition"), MOST_PARTITION)
    offset = read_number(found.get(PREFIX + "offset"), MOST_OFFSET)
    return None if not topic or partition is None or offset is None else Place(Partition(topic, partition), offset)
