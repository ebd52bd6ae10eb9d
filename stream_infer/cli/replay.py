"""Dead letters back to be scored: to the retry topic, which the worker reads beside the input."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.cli.letters import Letter
from stream_infer.cli.whole_topic import read_whole
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop
from stream_infer.pipeline.origin import RETRY_HEADERS, origin_headers, read_attempt, read_origin
from stream_infer.pipeline.reject import OWN
from stream_infer.records import Place
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config
from stream_infer.transport.columns import headers_of

POLL_S: Final = 0.2
PROGRESS_S: Final = 5.0
NO_TIME: Final = 0
"""What librdkafka takes for the time of sending."""


@dataclass(slots=True)
class Replayed:
    """What became of the letters: how many were sent, and why others were not."""

    sent: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def sentence(self, *, dry_run: bool, topic: str) -> str:
        """Say it."""
        verb = "would be sent" if dry_run else "sent"
        left = "".join(f"; {count:,} left: {reason}" for reason, count in sorted(self.left.items()))
        return f"{self.sent:,} dead letters {verb} to {topic}{left}."


class Chooser:
    """Says which letters to send: each once an attempt, however often a replay is started or a letter was written.

    `sent` are the attempts that the retry topic holds.
    """

    def __init__(self, sent: Iterable[tuple[Place, int]], *, max_attempts: int) -> None:
        self._sent = set(sent)
        self._max_attempts = max_attempts

    def refusal(self, letter: Letter) -> str | None:
        """Return why a letter is left, None when it is to be sent; it is counted as sent then."""
        if letter.origin is None:
            return "without the position of an input record, so that no worker wrote them"
        if letter.omitted_bytes is not None:
            return "too large for the dead-letter topic, which holds them without their values"
        if letter.attempt >= self._max_attempts:
            return f"tried {self._max_attempts} times already (--max-attempts)"
        attempt = (letter.origin, letter.attempt + 1)
        if attempt in self._sent:
            return "replayed already"
        self._sent.add(attempt)
        return None


def sent_attempts(settings: Settings) -> Iterable[tuple[Place, int]]:
    """Yield what the retry topic holds: the input record, and which attempt."""
    for message in read_whole(settings, settings.topics.retry):
        headers = headers_of(message)
        origin = read_origin(headers)
        if origin is not None:
            yield origin, read_attempt(headers)


class Replay:
    """Sends letters to the retry topic, counts what is delivered and says so."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.retry
        self._producer = create_client(Producer, producer_config(settings))
        self._clock = SystemClock()
        self._noted_s = self._clock.monotonic_s()
        self._failure: KafkaError | None = None
        self.delivered = 0

    def send(self, letter: Letter, origin: Place) -> None:
        """Hand one letter to librdkafka; raises `Stop` when an earlier one was refused."""
        kept = [(name, value) for name, value in letter.own_headers if name not in RETRY_HEADERS | OWN]
        # The stubs want lists of what is not only bytes.
        headers: list[tuple[str, str | bytes | None]] = [*kept, *origin_headers(origin, attempt=letter.attempt + 1)]
        while not self._queued(letter, headers):
            self._producer.poll(POLL_S)
        self._producer.poll(0)
        self._raise_failure()
        if self._clock.monotonic_s() - self._noted_s >= PROGRESS_S:
            self._noted_s = self._clock.monotonic_s()
            print(f"{self.delivered:,} dead letters sent so far", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Wait until everything is delivered; raises `Stop` when something was refused."""
        while self._producer.flush(PROGRESS_S):
            print(f"{len(self._producer):,} dead letters are not delivered yet", file=sys.stderr, flush=True)
        self._raise_failure()

    def _queued(self, letter: Letter, headers: list[tuple[str, str | bytes | None]]) -> bool:
        try:
            self._producer.produce(
                self._topic,
                letter.value,
                letter.key,
                headers=headers,
                timestamp=max(letter.timestamp_ms, NO_TIME),
                on_delivery=self._note_delivery,
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise Stop(f"Topic {self._topic} cannot be written: {error.args[0].str()}.") from error
        return True

    def _note_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise Stop(
                f"Topic {self._topic} cannot be written: {self._failure.str()}. {self.delivered:,} dead letters were "
                "sent; the same command sends the others."
            )
