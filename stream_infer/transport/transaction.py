"""Predictions, dead letters and positions in one Kafka transaction: a sink that commits and rolls back.

librdkafka says of each failed call whether to make it again, to abort, or that the producer is done for. Where the
outcome is not known the producer is given up and another one with the same transactional id takes its place, which
fences off whatever of the old one is still on its way. The same is done behind a transaction during which a connection
broke: librdkafka sends a request again that may still arrive on the broken one, and a second `EndTxn` of one epoch ends
whatever transaction is open by then (KIP-890, which librdkafka 2.16 does not have).
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from stream_infer.clock import Clock
from stream_infer.errors import Stop, StreamInferError, Undone
from stream_infer.logs import Repeated
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.records import Positions
from stream_infer.transport.bounded import begun, bounded
from stream_infer.transport.breaks import Breaks, Log
from stream_infer.transport.feed import Credentials
from stream_infer.transport.sink import Sink

repeated = Repeated(logging.getLogger(__name__))

SLICE_S: Final = 0.5
"""Between two looks at the deadline, while a call waits for the brokers."""
FENCES: Final = 3
FENCES_WITHIN_S: Final = 600.0
RENEW_FIRST_S: Final = 0.1
RENEW_LAST_S: Final = 5.0
INFO: Final = 6
HOPELESS: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - librdkafka's local codes are spelt so
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
        # Of a record that was sent: its size is looked at before, so the topic was set otherwise meanwhile.
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    }
)
"""Errors that the next attempt meets again."""
BROKEN_OFF: Final = KafkaError._STATE  # noqa: SLF001 - as above
"""What `produce` says when the transaction has failed in the background, as after a long stop of the process."""


class TransactionalSink(Sink):
    """See `pipeline.ports.TransactionalProducer`; `properties` name the id.

    Used by the compute thread, and by nobody but a thread of its own while that commits.

    Failed deliveries are not looked at one by one: librdkafka lets no transaction commit that has one.
    """

    def __init__(
        self, properties: Mapping[str, object], *, clock: Clock, credentials: Credentials | None = None
    ) -> None:
        super().__init__(properties, credentials=credentials)
        self._clock = clock
        self._open = False
        self._ready = False
        self._fenced_at_s: deque[float] = deque(maxlen=FENCES + 1)
        self._pause_s = RENEW_FIRST_S
        self._renew_at_s = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open."""
        return self._open

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Hand rows to librdkafka, in the open transaction or a new one; see `OutputProducer.send`."""
        if not self._open:
            self._begin()
        return super().send(outgoing)

    def commit(self, positions: Positions, membership: object, *, within_s: float) -> Future[float]:
        """Begin to commit what was sent, and positions with it; see `TransactionalProducer.commit`."""
        return begun(lambda: self._commit(positions, membership, within_s=within_s))

    def _commit(self, positions: Positions, membership: object, *, within_s: float) -> float:
        if self._credentials is not None:
            self._credentials.refresh(self._producer)
        if not self._open:
            self._begin()
        began_s = self._clock.monotonic_s()
        until_s = began_s + within_s
        if positions:
            # Made again it begins anew, unlike the others, which go on where they were.
            self._call(lambda left_s: self._send_positions(positions, membership, left_s), until_s=until_s)
        self._call(lambda _: self._producer.commit_transaction(SLICE_S), until_s=until_s)
        self._open = False
        if self._is_suspect():
            self._quarantine(pause_s=0.0)
            self.recover(within_s=max(until_s - self._clock.monotonic_s(), SLICE_S))
        return self._clock.monotonic_s() - began_s

    def _send_positions(self, positions: Positions, membership: object, left_s: float) -> None:
        """Add positions to the transaction.

        librdkafka 2.10 to 2.16 does not keep the call's time limit while no coordinator of the group can be reached,
        and after a broker has left the cluster it may wait for ever (its issues 5456 and 5511).
        """
        offsets = [TopicPartition(*source, position.offset) for source, position in positions.items()]
        producer = self._producer
        try:
            bounded(
                lambda: producer.send_offsets_to_transaction(offsets, membership, left_s), within_s=left_s + SLICE_S
            )
        except TimeoutError as error:
            self._quarantine()
            raise Undone("no coordinator of the group took the positions in time, a new producer takes over") from error

    def abort(self, *, within_s: float) -> None:
        """Roll back what is open; raises `Stop` when librdkafka says that another attempt meets the same."""
        if not self._open or not self._ready:
            return
        self._open = False
        try:
            until_s = self._clock.monotonic_s() + within_s
            self._call(lambda _: self._producer.abort_transaction(SLICE_S), until_s=until_s)
            if self._is_suspect():
                self._quarantine(pause_s=0.0)
        except Undone as reason:
            repeated.warning("the transaction could not be aborted, a new producer takes over: %s", reason)
            if self._ready:
                self._quarantine()

    def recover(self, *, within_s: float) -> bool:
        """Make a new producer where the old one was given up; False when it is not ready within the time."""
        if self._ready:
            return True
        self._producer.poll(0)
        if self._known.are_lost:
            self._replace()
        if self._clock.monotonic_s() < self._renew_at_s:
            return False
        if self._credentials is not None:
            self._credentials.refresh(self._producer)
        try:
            self._producer.init_transactions(within_s)
        except KafkaException as error:
            self._note_no_producer(error.args[0])
            return False
        self._ready = True
        self._pause_s = RENEW_FIRST_S
        return True

    def _begin(self) -> None:
        if not self._ready:
            raise Undone("there is no producer yet that may begin a transaction")
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            if error.args[0].code() == BROKEN_OFF:
                # Nothing is open that could be aborted: this producer begins no transaction any more.
                self._quarantine()
            raise self._sorted(error.args[0]) from error
        self._open = True

    def _call(self, call: Callable[[float], None], *, until_s: float) -> None:
        """Make a call, again while librdkafka says that it can be; what it did not finish in time nobody knows.

        It is given the seconds that are left.
        """
        while True:
            try:
                return call(max(until_s - self._clock.monotonic_s(), SLICE_S))
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                if not cause.retriable():
                    raise self._sorted(self._reason(cause)) from error
                self._producer.poll(0)
                if self._clock.monotonic_s() >= until_s or self._known.are_lost:
                    self._quarantine()
                    raise Undone(f"the brokers did not answer in time: {cause.str()}") from error

    def _refusal(self, topic: str, cause: KafkaError) -> StreamInferError:
        """Return what to raise for a record that librdkafka does not take."""
        return self._sorted(self._reason(cause))

    def _reason(self, cause: KafkaError) -> KafkaError:
        """Return what made the transaction fail in the background, which only a commit that cannot be tells."""
        if cause.code() != BROKEN_OFF:
            return cause
        try:
            self._producer.commit_transaction(SLICE_S)
        except KafkaException as error:
            found: KafkaError = error.args[0]
            return cause if found.retriable() else found
        return cause

    def _sorted(self, cause: KafkaError) -> StreamInferError:
        """Return what to raise for an error of a transactional call that cannot be made again."""
        sentence = f"{cause.name()}: {cause.str()}"
        if cause.code() in HOPELESS:
            return Stop(f"the transaction cannot be committed: {sentence}; nothing of it is")
        if (cause.txn_requires_abort() or cause.code() == BROKEN_OFF) and not cause.fatal():
            return Undone(f"the transaction was broken off: {sentence}")
        self._quarantine()
        self._note_fence(sentence)
        return Undone(f"another producer is needed: {sentence}")

    def _note_fence(self, sentence: str) -> None:
        now_s = self._clock.monotonic_s()
        self._fenced_at_s.append(now_s)
        if len(self._fenced_at_s) > FENCES and now_s - self._fenced_at_s[0] < FENCES_WITHIN_S:
            raise Stop(
                f"transactions were ended from outside {len(self._fenced_at_s)} times within {FENCES_WITHIN_S / 60:g} "
                f"minutes, the last time by {sentence}: is there another worker of this worker_id, or is "
                "delivery.transaction_timeout_ms too short?"
            )

    def _hearing(self) -> Mapping[str, object]:
        """Let a producer's log tell of broken connections too, whatever of it is to be seen."""
        self._breaks = Breaks(cast("Log | None", self._properties.get("logger")))
        return {**super()._hearing(), "logger": self._breaks, "log_level": INFO, "log.connection.close": True}

    def _is_suspect(self) -> bool:
        """Return whether a connection broke, so that a request may have been sent twice and arrived once so far."""
        self._producer.poll(0)
        return self._breaks.noted

    def _quarantine(self, *, pause_s: float | None = None) -> None:
        """Give the producer up, with what it has queued, and put another one in its place, which is not ready yet."""
        self._open = self._ready = False
        super()._replace()
        self._renew_at_s = self._clock.monotonic_s() + (self._pause_s if pause_s is None else pause_s)

    def _replace(self) -> None:
        """Put another producer in this one's place, which is not ready yet."""
        self._quarantine(pause_s=0.0)

    def _note_no_producer(self, cause: KafkaError) -> None:
        if cause.code() in HOPELESS:
            raise Stop(f"no transaction can begin: {cause.name()}: {cause.str()}")
        repeated.warning("no transaction can begin yet: %s", cause.str())
        if cause.fatal() or not cause.retriable():
            self._quarantine()
        self._pause_s = min(2 * self._pause_s, RENEW_LAST_S)
        self._renew_at_s = self._clock.monotonic_s() + self._pause_s

    def _raise_failure(self) -> None:
        """Do nothing: the transaction that a failed record belongs to is not committed."""
