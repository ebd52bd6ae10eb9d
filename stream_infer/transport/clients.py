"""librdkafka's configuration for every client of the worker, made from the settings, and the first contact."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stream_infer.clock import Clock, SystemClock
from stream_infer.errors import Stop, WrongUse
from stream_infer.logs import Repeated
from stream_infer.settings import Settings
from stream_infer.settings.root import EXACTLY_ONCE

T = TypeVar("T")
Config = dict[str, Any]

log = logging.getLogger(__name__)
librdkafka_log = Repeated(logging.getLogger("librdkafka"), by_text=True)
"""While a broker is away every client reports every attempt to reach it, which is twenty lines a second."""

REFRESH: Final[Config] = {"topic.metadata.refresh.interval.ms": 15_000, "metadata.max.age.ms": 900_000}
"""librdkafka 2.16 may lose a request for metadata when it drops the broker that it sent it to, as it does with the
first ones after an outage, and asks again at the next refresh only, by its own default after five minutes. How long
what it knows counts is its default."""
LINGER_MS: Final = {"throughput": 5, "latency": 0}
"""By `batching.profile`; 5 is librdkafka's own."""
ATTEMPT_S: Final = 1.0
PROGRESS_S: Final = 5.0
EVENTS_S: Final = 0.1
NO_ANSWER: Final = "no answer"
HEADER_ROOM_BYTES: Final = 65536
LIBRDKAFKA_MAX_MESSAGE_BYTES: Final = 1_000_000
SMALLEST_LIMIT_BYTES: Final = 1_000
"""The least that librdkafka takes as message.max.bytes."""
BATCH_ROOM_BYTES: Final = 512
"""What Kafka's batch format may add around a single record, amply."""


def consumer_config(settings: Settings) -> Config:
    """Return the properties of the group's consumer.

    It commits nothing by itself, and a position that the broker lost comes up as an error (`auto.offset.reset` is
    `error`), so that whoever moves it can log and count that.
    """
    kafka = settings.kafka
    # Without the short back-off a full queue is left alone for a second, which costs half the throughput.
    defaults = {**REFRESH, "isolation.level": "read_committed", "fetch.queue.backoff.ms": 5}
    chosen = {**defaults, **kafka.properties, **kafka.consumer_properties, **_secrets(settings)}
    owned: Config = {
        "group.id": settings.application_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
    }
    if is_exactly_once(settings):
        # Where a partition starts must not be read before the transaction of its last owner has ended.
        owned["isolation.level"] = "read_committed"
    # Under the new group protocol the broker assigns, and librdkafka refuses a strategy.
    if chosen.get("group.protocol") != "consumer":
        owned["partition.assignment.strategy"] = "cooperative-sticky"
    return chosen | _identity(settings) | owned


def producer_config(settings: Settings) -> Config:
    """Return the properties of a producer that never gives a record up: an outage is waited out."""
    defaults = {
        **REFRESH,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.max.bytes": max(LIBRDKAFKA_MAX_MESSAGE_BYTES, settings.delivery.max_record_bytes + HEADER_ROOM_BYTES),
        "linger.ms": LINGER_MS[settings.batching.profile],
    }
    chosen = {**defaults, **settings.kafka.properties, **settings.kafka.producer_properties, **_secrets(settings)}
    owned = {"enable.idempotence": True, "message.timeout.ms": 0}
    return chosen | _identity(settings) | owned


def output_producer_config(settings: Settings, *, topic_limit_bytes: int | None = None) -> Config:
    """Return `producer_config` with delivery reports for failures alone, which saves a Python callback a record.

    `topic_limit_bytes` is what the output topics take as one message: a larger one is then refused here, where its
    batch-mates are not lost with it, and not by the broker.
    """
    config = producer_config(settings) | {"delivery.report.only.error": True}
    if topic_limit_bytes is not None:
        config["message.max.bytes"] = max(SMALLEST_LIMIT_BYTES, topic_limit_bytes - BATCH_ROOM_BYTES)
    return config


def is_exactly_once(settings: Settings) -> bool:
    """Return whether outputs and positions go into transactions."""
    return settings.delivery.processing_guarantee == EXACTLY_ONCE


def transactional_config(settings: Settings, *, topic_limit_bytes: int | None = None) -> Config:
    """Return `output_producer_config` for transactions under the id `<application_id>-<worker_id>`.

    A record that is not delivered before the broker ends the transaction is given up with it, and scored again.
    """
    timeout_ms = settings.delivery.transaction_timeout_ms
    # A client that goes back to its first brokers forgets whom it waits for (librdkafka's issue 5511); where none of
    # the brokers that it knows answers in time the transaction is given up and a new producer begins with those.
    defaults = {"metadata.recovery.strategy": "none"}
    return (defaults | output_producer_config(settings, topic_limit_bytes=topic_limit_bytes)) | {
        "transactional.id": f"{settings.application_id}-{settings.worker_id}",
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
    }


def reader_config(settings: Settings) -> Config:
    """Return the properties of a consumer that is assigned partitions, joins no group and commits nothing.

    It carries the worker's group id, which its user may be allowed to use, but never joins that group.
    """
    return consumer_config(settings)


def admin_config(settings: Settings) -> Config:
    """Return the properties of an admin client."""
    return {**settings.kafka.properties, **_secrets(settings), **_identity(settings)}


def create_client(build: Callable[[Config], T], config: Config) -> T:
    """Return `build(config)`; raises WrongUse with librdkafka's reason when it does not take the properties."""
    try:
        return build(config)
    except KafkaException as error:
        reason = error.args[0].str() if isinstance(error.args[0], KafkaError) else str(error)
        raise WrongUse(f"kafka.properties cannot be used: {reason}.") from error
    except (TypeError, ValueError) as error:
        raise WrongUse(f"kafka.properties cannot be used: {error}.") from error


def wait_for_broker(settings: Settings, *, clock: Clock | None = None) -> None:
    """Return once a broker answers; the properties of consumer and producer were tried before.

    Raises WrongUse for properties that librdkafka does not take, and Stop when no broker answered within
    `kafka.startup_timeout_s`; progress is logged every five seconds.
    """
    try_properties(settings)
    clock = clock or SystemClock()
    contact = _FirstContact()
    admin = create_client(AdminClient, admin_config(settings) | {"error_cb": contact.note, "log_level": 0})
    start_s = noted_s = clock.monotonic_s()
    limit_s = settings.kafka.startup_timeout_s
    while (waited_s := clock.monotonic_s() - start_s) < limit_s:
        if contact.answers(admin, timeout_s=min(limit_s - waited_s, ATTEMPT_S)):
            return
        if clock.monotonic_s() - noted_s >= PROGRESS_S:
            noted_s = clock.monotonic_s()
            log.warning("no broker at %s yet: %s", settings.kafka.bootstrap_servers, contact.last_error)
    raise Stop(
        f"kafka.bootstrap_servers is {settings.kafka.bootstrap_servers}: no broker answered within "
        f"{limit_s:g} s, expected one to; the last error was: {contact.last_error}."
    )


def try_properties(settings: Settings) -> None:
    """Raise WrongUse when librdkafka does not take the properties; nothing is sent."""
    create_client(Consumer, consumer_config(settings)).close()
    create_client(Producer, output_producer_config(settings))


class _FirstContact:
    """Asks for metadata and remembers the most telling error."""

    def __init__(self) -> None:
        self.last_error = NO_ANSWER

    def note(self, error: KafkaError) -> None:
        # "All brokers are down" follows every single broker's own error and says less.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's local codes are spelt so
            self.last_error = error.str()

    def answers(self, admin: AdminClient, *, timeout_s: float) -> bool:
        try:
            admin.list_topics(timeout=timeout_s)
        except KafkaException as error:
            admin.poll(EVENTS_S)  # runs `note`
            if self.last_error == NO_ANSWER:
                self.last_error = error.args[0].str()
            return False
        return True


class SaslFiles:
    """The SASL name and password where `kafka.property_files` holds one of them, read again when a file changes."""

    NAMES: ClassVar[tuple[str, ...]] = ("sasl.username", "sasl.password")

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self._fixed = kafka.properties
        self._files = {name: kafka.property_files[name] for name in self.NAMES if name in kafka.property_files}
        self._seen = self._stamps()

    def refresh(self, client: Any) -> bool:
        """Give `client` the new name and password if a file changed since the last call; say whether one did.

        `client` is any confluent-kafka client. A file that cannot be read counts as unchanged: it is being replaced.
        """
        stamps = self._stamps()
        if not self._files or stamps == self._seen or None in stamps.values():
            return False
        self._hand_over(client)
        self._seen = stamps
        return True

    def give(self, client: Any) -> None:
        """Give a client that was made with the secrets of the start what the files hold now, if they can be read."""
        stamps = self._stamps()
        if self._files and None not in stamps.values():
            self._hand_over(client)
            self._seen = stamps

    def _hand_over(self, client: Any) -> None:
        values = {name: self._value(name) for name in self.NAMES}
        client.set_sasl_credentials(values["sasl.username"], values["sasl.password"])

    def _value(self, name: str) -> str:
        path = self._files.get(name)
        return read_secret(name, path) if path else self._fixed.get(name, "")

    def _stamps(self) -> dict[str, int | None]:
        return {name: _stamp(path) for name, path in self._files.items()}


def read_secret(name: str, path: Path, *, option: str = "kafka.property_files") -> str:
    """Return the text of a file without the line end at its end; raises WrongUse when it cannot be read."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongUse(f"{option}.{name} is {path}, expected a file that can be read: {reason}.") from error


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _secrets(settings: Settings) -> Config:
    return {name: read_secret(name, path) for name, path in settings.kafka.property_files.items()}


def _identity(settings: Settings) -> Config:
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": settings.worker_id,
        "logger": librdkafka_log,
    }
