"""An output producer without a broker."""

from dataclasses import dataclass, field

from stream_infer.errors import Stop
from stream_infer.pipeline.ports import Outgoing, Unsent
from stream_infer.records import Headers


@dataclass(frozen=True, slots=True)
class Delivered:
    """One record as a consumer would see it; `partition` is -1 where the partitioner decided."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers


@dataclass(slots=True)
class FakeProducer:
    """Delivers at `flush`, and not before. `partitions` are the topics that exist.

    What is sent to a topic that does not exist fails for good, as on a broker: the next call raises `Stop`.
    """

    partitions: dict[str, int]
    max_message_bytes: int = 1_000_000
    delivered: list[Delivered] = field(default_factory=list)
    sent: list[Delivered] = field(default_factory=list)

    def send(self, outgoing: Outgoing) -> list[Unsent]:
        """Queue rows; refuse those over `max_message_bytes`."""
        unsent = []
        for row, value in enumerate(outgoing.values):
            if len(value or b"") + len(outgoing.keys[row] or b"") > self.max_message_bytes:
                unsent.append(Unsent(row, f"{len(value or b'')} bytes for {outgoing.topic} are too many"))
            else:
                self.sent.append(_delivered(outgoing, row))
        return unsent

    def flush(self) -> None:
        """Deliver what was sent; raises `Stop` for a topic that does not exist."""
        for one in self.sent:
            if one.topic not in self.partitions:
                message = f"cannot write to {one.topic}: there is no such topic"
                raise Stop(message)
        self.delivered += self.sent
        self.sent = []

    def partition_count(self, topic: str) -> int:
        """Return how many partitions `topic` has."""
        return self.partitions[topic]


def _delivered(outgoing: Outgoing, row: int) -> Delivered:
    return Delivered(
        topic=outgoing.topic,
        partition=outgoing.partitions[row] if outgoing.partitions else -1,
        key=outgoing.keys[row],
        value=outgoing.values[row],
        timestamp_ms=outgoing.timestamps_ms[row],
        headers=tuple((outgoing.headers[row] if outgoing.headers else None) or ()),
    )
