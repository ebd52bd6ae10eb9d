"""One poll: everything that librdkafka has, or else the first that comes, and since when it may have been there."""

from typing import Final

from confluent_kafka import Consumer, Message

from stream_infer.clock import Clock

TURN_S: Final = 0.01
"""For which a poll waits at most for the compute thread to be through with those before."""


def poll(
    consumer: Consumer, count: int, *, timeout_s: float, held_since_s: float, clock: Clock
) -> tuple[list[Message], float]:
    """Return up to `count` messages, errors among them, and the monotonic time from which the first counts as waiting.

    `held_since_s` is when this poll could have been made first. Raises what librdkafka's callbacks raise.
    """
    messages = consumer.consume(count, 0)
    now_s = clock.monotonic_s()
    if messages:
        # They may have come while this poll was held up; a rebalance inside it may have taken longer than that.
        return messages, max(held_since_s, now_s - TURN_S)
    messages, now_s = consumer.consume(1, timeout_s), clock.monotonic_s()
    if messages and count > 1:
        messages += consumer.consume(count - 1, 0)
    return messages, now_s
