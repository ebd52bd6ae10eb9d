"""Partitions that were just assigned wait here until the worker knows which version must answer them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol

from confluent_kafka import Consumer, TopicPartition

from stream_infer.records import Partition


class Gate(Protocol):
    """Says when partitions assigned now may be scored; asked from the consumer thread."""

    def ask(self) -> "Future[None]":
        """Return what is done once the desired state as of this moment serves here, or has failed here."""
        ...


class Gatekeeper:
    """Pauses partitions from their assignment until their gate opens; retained partitions go on.

    Every method runs on the consumer thread. Without a gate nothing waits.
    """

    def __init__(self, consumer: Consumer, gate: Gate | None) -> None:
        self._consumer = consumer
        self._gate = gate
        self._waiting: dict[Partition, Future[None]] = {}

    @property
    def held(self) -> frozenset[Partition]:
        """Partitions whose gate is shut."""
        return frozenset(self._waiting)

    def hold(self, sources: Sequence[Partition]) -> None:
        """Pause partitions and ask for their gate; one that waits already waits for the new gate instead."""
        if self._gate is None or not sources:
            return
        self._consumer.pause([TopicPartition(*source) for source in sources])
        self._waiting |= dict.fromkeys(sources, self._gate.ask())

    def pause_held(self) -> None:
        """Pause what waits here once more, after something else let it go on."""
        if self._waiting:
            self._consumer.pause([TopicPartition(*source) for source in self._waiting])

    def forget(self, sources: Iterable[Partition]) -> None:
        """Let go of partitions that were given up."""
        for source in sources:
            self._waiting.pop(source, None)

    def opened(self) -> list[Partition]:
        """Return the partitions whose gate opened since the last call; the caller reads them from now on."""
        done = [source for source, gate in self._waiting.items() if gate.done() and gate.exception() is None]
        self.forget(done)
        return done
