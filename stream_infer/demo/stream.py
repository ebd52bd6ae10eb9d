"""Sends events at a rate and reads their answers, until every one is answered."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_infer.clock import Clock
from stream_infer.demo.events import Event, EventWriter, Position, PredictionReader
from stream_infer.demo.score import Scoreboard
from stream_infer.errors import Stop
from stream_infer.settings import Settings
from stream_infer.transport.clients import create_client, producer_config, reader_config

TURN_S: Final = 0.005
BULK: Final = 1000
MAX_UNANSWERED: Final = 4000
"""Events in flight at most: what the mock cluster keeps of a topic is never more than a fraction of its limit."""
SILENCE_S: Final = 30.0
REQUEST_TIMEOUT_S: Final = 10.0
_POSITION_HEADERS: Final = ("__streams.errors.partition", "__streams.errors.offset")


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events there should be by when; times are monotonic. `extra_s` is for who wants more than `seconds`."""

    per_second: float
    started_s: float
    seconds: float
    extra_s: float = 0.0

    def is_over(self, now_s: float, *, wants_more: bool = False) -> bool:
        """Say whether the time for sending has passed."""
        return now_s - self.started_s >= self.seconds + (self.extra_s if wants_more else 0.0)

    def due(self, now_s: float, *, sent: int, in_flight: int) -> int:
        """Return how many events to send now, so that neither the rate nor the number in flight is passed."""
        wanted = int(min(now_s - self.started_s, self.seconds + self.extra_s) * self.per_second) - sent
        return max(min(wanted, MAX_UNANSWERED - in_flight), 0)


class Exchange:
    """The demo's own clients: a producer to the input topic, a reader of predictions and dead letters.

    Used as a `with` block. Told to a scoreboard: deliveries and answers.
    """

    def __init__(self, settings: Settings, *, board: Scoreboard, clock: Clock) -> None:
        self._topics = settings.topics
        self._board = board
        self._clock = clock
        self._predictions = PredictionReader()
        self._refused: KafkaError | None = None
        self._producer = create_client(Producer, producer_config(settings))
        self._consumer = create_client(Consumer, reader_config(settings))
        self._consumer.assign([*self._starts(self._topics.output), *self._starts(self._topics.dead_letter)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()
        self._producer.flush(REQUEST_TIMEOUT_S)
        self._consumer.close()

    def send(self, event: Event) -> None:
        """Hand one event to the producer; raises Stop when an earlier one was refused."""
        self._producer.produce(self._topics.input[0], event.value, event.key, on_delivery=self._note_delivery)
        self._check()

    def undelivered(self) -> int:
        """Return how many events are on their way to the broker."""
        return len(self._producer)

    def turn(self, timeout_s: float) -> int:
        """Read what is there, or the first that comes within the time; return how many records were read."""
        self._producer.poll(0)
        self._check()
        first = self._consumer.poll(timeout_s)
        messages = [] if first is None else [first, *self._consumer.consume(BULK, 0)]
        for message in messages:
            self._note(message)
        return len(messages)

    def _note(self, message: Message) -> None:
        error, value = message.error(), message.value()
        if error is not None:
            raise Stop(f"Topic {message.topic()} cannot be read: {error.str()}.")
        read_s = self._clock.monotonic_s()
        if message.topic() == self._topics.dead_letter:
            self._board.dead_lettered(_source(message), read_s=read_s)
        else:
            self._board.predicted(self._predictions.read(value or b""), read_s=read_s, now_s=self._clock.wall_s())

    def _note_delivery(self, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is None and partition is not None and offset is not None:
            self._board.delivered(Position(partition, offset))
        else:
            self._refused = error

    def _check(self) -> None:
        if self._refused is not None:
            raise Stop(f"Topic {self._topics.input[0]} cannot be written: {self._refused.str()}.")

    def _starts(self, topic: str) -> list[TopicPartition]:
        try:
            found = self._consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise Stop(f"The brokers did not describe topic {topic}: {error.args[0].str()}.") from error
        return [TopicPartition(topic, partition, 0) for partition in found.partitions]


class Stream:
    """Sends while the pace says so, then waits for the answers that are missing."""

    def __init__(self, exchange: Exchange, writer: EventWriter, *, board: Scoreboard, clock: Clock) -> None:
        self._exchange = exchange
        self._writer = writer
        self._board = board
        self._clock = clock
        self._sent = 0

    def send_all(self, pace: Pace, *, goes_on: Callable[[float], bool], each_turn: Callable[[], None]) -> None:
        """Send events while it goes on at a monotonic time; answers are read meanwhile."""
        while goes_on(now_s := self._clock.monotonic_s()):
            for _ in range(pace.due(now_s, sent=self._sent, in_flight=self._in_flight())):
                self._exchange.send(self._writer.event(self._sent, now_s=self._clock.wall_s()))
                self._sent += 1
            self._exchange.turn(TURN_S)
            each_turn()

    def read_rest(self, *, each_turn: Callable[[], None]) -> None:
        """Read until every event is answered, or nothing came for 30 s."""
        heard_s = self._clock.monotonic_s()
        while self._in_flight() and self._clock.monotonic_s() - heard_s < SILENCE_S:
            if self._exchange.turn(TURN_S):
                heard_s = self._clock.monotonic_s()
            each_turn()

    def _in_flight(self) -> int:
        return self._exchange.undelivered() + self._board.unanswered


def _source(message: Message) -> Position:
    """Return the position of the event that a dead letter was."""
    headers = dict(message.headers() or ())
    partition, offset = (int(headers.get(name) or b"-1") for name in _POSITION_HEADERS)
    return Position(partition, offset)
