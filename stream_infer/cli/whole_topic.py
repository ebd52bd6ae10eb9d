"""Everything that a topic holds now."""

import sys
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Message

from stream_infer.clock import SystemClock
from stream_infer.settings import Settings
from stream_infer.transport.tail import Tail

POLL_S: Final = 1.0
PROGRESS_S: Final = 5.0


def read_whole(settings: Settings, topic: str) -> Iterator[Message]:
    """Yield the committed records of a topic up to its end as of now; says how far it is from time to time."""
    tail = Tail(settings, topic)
    try:
        yield from _read(tail, topic)
    finally:
        tail.close()


def _read(tail: Tail, topic: str) -> Iterator[Message]:
    clock = SystemClock()
    ends, said_s, read = tail.ends(), clock.monotonic_s(), 0
    while not tail.has_read(ends):
        messages = tail.read(POLL_S)
        yield from (one for one in messages if int(one.offset() or 0) < ends[int(one.partition() or 0)])
        read += len(messages)
        if clock.monotonic_s() - said_s > PROGRESS_S:
            said_s = clock.monotonic_s()
            print(f"{topic}: {read:,} records read", file=sys.stderr, flush=True)
