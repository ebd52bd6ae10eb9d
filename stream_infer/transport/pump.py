"""The consumer thread's work: poll, hand over, and keep the group membership while nothing may be polled."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, Message

from stream_infer.errors import Stop
from stream_infer.logs import Repeated
from stream_infer.pipeline.inbox import Member
from stream_infer.records import Partition
from stream_infer.transport.absence import Absence
from stream_infer.transport.calls import Calls
from stream_infer.transport.columns import Epochs, Polled, read_columns, source_of, split_errors
from stream_infer.transport.feed import Feed
from stream_infer.transport.ownership import Ownership
from stream_infer.transport.poll import TURN_S, poll
from stream_infer.transport.rebalance import is_joined
from stream_infer.transport.session import Session

T = TypeVar("T")
log = logging.getLogger(__name__)
repeated = Repeated(log)

POLL_RECORDS: Final = 4096
POLL_TIMEOUT_S: Final = 0.1
PAUSE_AFTER_S: Final = 1.0
LOOK_S: Final = 1.0
OTHER_PROTOCOL: Final = (
    "group {group} has members that assign partitions in another way: expected all to use cooperative-sticky, as every "
    "worker does; stop the others, or give this worker an application_id of its own"
)
ENDING: Final = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001 - librdkafka's local codes are spelt so
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
    }
)


class Pump:
    """Owns the Consumer. Every method runs on the consumer thread, except `ask`.

    While few records are scored, the next poll waits for the compute thread's turn to end. Back-pressure stops polling.
    Partitions are paused only when it lasts longer than a second, because a pause
    throws away what librdkafka has fetched ahead; while paused the callbacks are still served, so that a slow model
    never costs the membership of the group.
    """

    def __init__(self, feed: Feed, *, deliver: Callable[[Polled], None], stopping: Callable[[], bool]) -> None:
        self._feed = feed
        self._deliver = deliver
        self._calls = Calls()
        self._ownership = Ownership()
        self._stopping = stopping
        self._session = self._begin()
        self._look_at_s = self._restart_at_s = 0.0
        self._blocked_since_s: float | None = None
        self._absence = Absence()

    def _begin(self) -> Session:
        session = Session(self._feed, ownership=self._ownership, calls=self._calls, stopping=self._stopping)
        session.rebalancer.waiting = self._wait_for_starts
        return session

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for `topics`."""
        self._session.subscribe(sorted(topics))

    def ask(self, question: Callable[[Consumer], T]) -> T:
        """Run `question(consumer)` on the consumer thread and wait for its answer; for any other thread."""
        return self._calls.submit(lambda: question(self._session.consumer)).result()

    def hold(self, source: Partition) -> None:
        """Stop reading one partition while the agent it belongs to is behind; may be called from any thread."""
        self._calls.submit(lambda: self._session.pauses.hold(source))

    def release(self, source: Partition) -> None:
        """Read a partition on hold again; may be called from any thread."""
        self._calls.submit(lambda: self._session.pauses.release(source))

    def turn(self) -> None:
        """Serve what was asked for, then poll once, or wait while there is no room."""
        self._note_state()
        self._notice_absence()
        if self._session.is_lost:
            self._begin_anew()
        self._calls.serve()
        self._commit()
        self._answer()
        self._restart()
        self._let_in(self._session.gatekeeper.opened())
        if self._session.pauses.is_total:
            self._turn_paused()
        elif room := self._room():
            self._blocked_since_s = None
            self._poll(min(room, POLL_RECORDS), timeout_s=POLL_TIMEOUT_S)
        else:
            self._wait_for_room()
        if self._session.rebalancer.failure is not None:
            raise self._session.rebalancer.failure

    def drain(self, timeout_s: float) -> bool:
        """Finish what was polled, commit it; False when `timeout_s` passed first and nothing was committed."""
        answer = self._feed.inbox.drain(self._session.rebalancer.membership())
        if not self._calls.serve_until(answer, timeout_s=timeout_s) or answer.exception() is not None:
            return False
        self._session.rebalancer.commit_now(answer.result())
        return True

    def close(self) -> None:
        """Leave the group; calls from other threads are refused from now on."""
        self._session.rebalancer.closing = True
        self._calls.close(Stop("the consumer thread has ended"))
        self._session.consumer.close()
        self._ownership.revoke(self._ownership.sources)

    def _begin_anew(self) -> None:
        """Join the group as another member; what the old one had is given up."""
        repeated.warning("the group is joined by a new consumer: the old one knows of no broker any more")
        old = self._session
        old.give_up()
        self._session = self._begin()
        if self._feed.credentials is not None:
            self._feed.credentials.give(self._session.consumer)
        if old.topics:
            self._session.subscribe(old.topics)

    def _room(self) -> int:
        """Return how many records may be polled, once it is time to."""
        self._feed.credit.wait_for_turn(TURN_S)
        return self._feed.credit.room_records()

    def _poll(self, count: int, *, timeout_s: float) -> None:
        before, changes = self._ownership.epochs(), self._ownership.changes
        state, clock = self._feed.state, self._feed.clock
        messages, arrived_s = poll(
            self._session.consumer, count, timeout_s=timeout_s, held_since_s=state.last_turn_s, clock=clock
        )
        state.last_poll_s = clock.monotonic_s()
        reads = self._session.take_reads(len(messages))
        if not messages:
            return
        is_quiet = self._ownership.changes == changes
        epochs = before if is_quiet else self._still_valid(before, messages)
        # Only what is owned is read, unless that changed meanwhile.
        same_topic = is_quiet and len(self._ownership.topics) == 1
        records, faulty = split_errors(messages)
        for one in faulty:
            self._handle(one.message, one.error)
        if records:
            # Beside errors the numbers could agree by chance.
            noted = reads if is_quiet and not faulty else None
            columns = read_columns(records, epochs=epochs, arrived_s=arrived_s, reads=noted, same_topic=same_topic)
            self._hand_over(columns)

    def _hand_over(self, polled: Polled) -> None:
        if polled.messages:
            self._deliver(polled)

    def _still_valid(self, before: Epochs, messages: Sequence[Message]) -> Epochs:
        """Return the epochs that a rebalance inside this very poll left alone; read the new ones from their start."""
        now = self._ownership.epochs()
        valid = {source: epoch for source, epoch in before.items() if now.get(source) == epoch}
        for source in {source_of(message) for message in messages if message.error() is None}:
            if source in now and source not in valid:
                self._seek_to_start(source, messages)
        return valid

    def _seek_to_start(self, source: Partition, messages: Sequence[Message]) -> None:
        start = self._ownership.start_of(source)
        if start is None:
            records, _ = split_errors(messages)
            start = next(int(one.offset() or 0) for one in records if source_of(one) == source)
        self._session.rebalancer.read_from(source, start)

    def _handle(self, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            self._session.rebalancer.restart(source_of(message))
        elif error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            raise Stop(OTHER_PROTOCOL.format(group=self._feed.properties["group.id"]))
        elif error.fatal() or error.code() in ENDING:
            sentence = f"cannot read {message.topic() or 'the input'}: {error.str()}"
            raise Stop(sentence)
        else:
            topic = message.topic() or "consumer"
            repeated.warning("%s: %s", topic, error.str(), each=(topic, error.code()))

    def _wait_for_room(self) -> None:
        now_s = self._feed.clock.monotonic_s()
        self._blocked_since_s = self._blocked_since_s or now_s
        if self._feed.credit.wait_for_room(POLL_TIMEOUT_S):
            return
        if now_s - self._blocked_since_s >= PAUSE_AFTER_S:
            self._session.pauses.pause_all()

    def _turn_paused(self) -> None:
        """Serve callbacks; partitions assigned meanwhile are paused too. A record that slips through is not dropped."""
        self._session.pauses.pause_all()
        self._poll(1, timeout_s=POLL_TIMEOUT_S)
        if self._feed.credit.is_low():
            self._session.pauses.resume_all()

    def _let_in(self, sources: Sequence[Partition]) -> None:
        """Read partitions whose gate opened."""
        if sources:
            log.info("%d partitions are in step with the control topic and are read now", len(sources))
            self._session.pauses.let_in(sources)

    def _commit(self) -> None:
        offsets = self._session.rebalancer.committable(self._feed.commits.take())
        if offsets:
            self._session.consumer.commit(offsets=offsets, asynchronous=True)

    def _wait_for_starts(self) -> None:
        """Do what cannot wait while a dead owner's transaction holds new partitions up: the others' are committed."""
        self._note_state()
        self._answer_membership()

    def _answer_membership(self) -> None:
        if self._feed.commits.take_membership():
            self._feed.inbox.put(Member(self._session.rebalancer.membership()))

    def _answer(self) -> None:
        """Do what the compute thread asked for, in an order that lets it see what changed before."""
        self._answer_membership()
        if self._feed.commits.take_rewind():
            if self._session.rebalancer.rewind():
                self._session.pauses.hold_again()
            else:
                self._feed.commits.rewind()

    def _restart(self) -> None:
        """Try again what could not be restarted: between polls, because it may take as long as a rebalance."""
        now_s = self._feed.clock.monotonic_s()
        if now_s >= self._restart_at_s:
            self._restart_at_s = now_s + LOOK_S
            self._session.rebalancer.restart_again()

    def _note_state(self) -> None:
        state = self._feed.state
        state.last_turn_s = self._feed.clock.monotonic_s()
        state.assigned = self._ownership.sources
        if state.last_turn_s >= self._look_at_s:
            self._look_at_s = state.last_turn_s + LOOK_S
            # Asks librdkafka's own thread, which is too dear for every turn.
            state.joined = is_joined(self._session.rebalancer.membership())
            if self._feed.credentials is not None:
                self._feed.credentials.refresh(self._session.consumer)

    def _notice_absence(self) -> None:
        known, state = self._session.statistics, self._feed.state
        if known is not None and self._session.topics:
            self._absence.note(state.last_turn_s, joined=state.joined, connected=known.connected)
