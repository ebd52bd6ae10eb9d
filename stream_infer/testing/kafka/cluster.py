"""A Kafka cluster as tests see it, and how they wait for it."""

import time
from collections.abc import Callable
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_infer.errors import StreamInferError


class Unavailable(StreamInferError):
    """This way to get Kafka does not work here; the text says why in one sentence."""


class NoKafka(StreamInferError):
    """No way to get Kafka works here; the text names each that was tried and why it failed."""


class Cluster(Protocol):
    """A running cluster; its owner closes it."""

    @property
    def bootstrap_servers(self) -> str:
        """Return `host:port` for a client; the same after `stop` and `start`."""
        ...

    @property
    def source(self) -> str:
        """Return where the cluster comes from, in a few words for a person."""
        ...

    @property
    def owned(self) -> bool:
        """Return whether `pause`, `resume`, `stop` and `start` work: not on a cluster that is only borrowed."""
        ...

    @property
    def classpath(self) -> str:
        """Return the Java class path of Kafka's own command-line tools.

        Raises `Unavailable` where they cannot be had.
        """
        ...

    def pause(self) -> None:
        """Freeze the brokers: connections stay open and nothing answers (SIGSTOP)."""
        ...

    def resume(self) -> None:
        """Let paused brokers go on; does nothing for running ones."""
        ...

    def stop(self) -> None:
        """Shut the brokers down cleanly; data and port are kept. Does nothing for stopped ones."""
        ...

    def start(self) -> None:
        """Start stopped brokers on the same data and port and wait until they answer; does nothing for running ones."""
        ...

    def keep_log(self) -> str:
        """Keep the brokers' log beyond `close` and return where it is, as one sentence."""
        ...

    def close(self) -> None:
        """End the brokers at once and remove their data. Safe to call twice."""
        ...


def wait_until_ready(bootstrap_servers: str, *, timeout_s: float, is_alive: Callable[[], bool] = lambda: True) -> None:
    """Return once a broker there answers a metadata request and counts itself in.

    Raises `Unavailable` after `timeout_s`, or as soon as `is_alive` says that the broker has ended.
    """
    quiet = {"log_level": 0, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **quiet})
    deadline_s = time.monotonic() + timeout_s
    last = "no answer"
    while is_alive() and time.monotonic() < deadline_s:
        try:
            # The request itself waits for a connection, so this loop needs no sleep.
            if admin.list_topics(timeout=1).brokers:
                return
            last = "the broker has not joined its cluster"
        except KafkaException as error:
            last = error.args[0].str()
    found = (
        f"no broker was ready within {timeout_s:g} s ({last})" if is_alive() else "the broker ended while it started"
    )
    raise Unavailable(f"Kafka at {bootstrap_servers}: {found}")
