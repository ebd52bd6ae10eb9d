"""Sends events at a fixed rate, open loop, as a process of its own, until SIGTERM.

Every event's timestamp is the whole millisecond at which it was due, however late it was sent: a prediction carries
it on, so what a reader sees counts from there. Prints that it is ready and, at the end, as JSON, how many were sent and
how late the sender was.

    python -m benchmarks.pace BOOTSTRAP_SERVERS TOPIC EVENTS_PER_SECOND [LINGER_MS]
"""

import gc
import json
import signal
import sys
import time
from array import array
from itertools import count

import numpy as np
from confluent_kafka import Producer

from benchmarks.job import ENTITIES, EVENT, make_events
from stream_infer.avro import Encoder

READY = "ready"
POOL = 4096
FLUSH_S = 30.0
AHEAD_MS = 500
LINGER_MS = "5"
"""As Kafka 4's own producer has it; with 0 the broker does little but answer requests."""


def due_by(tick: int, rate: int) -> int:
    """Return how many events are due in all when a tick of a millisecond is over, the first being tick 0."""
    return (tick + 1) * rate // 1000


def main() -> None:
    bootstrap_servers, topic, rate, linger_ms = (*sys.argv[1:], LINGER_MS)[:4]
    encoded = Encoder(EVENT, output_format="single_object").encode(make_events(0, POOL, np.random.default_rng(0)))
    pool = [(value, b"entity-%d" % (number % ENTITIES)) for number, value in enumerate(encoded)]
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "linger.ms": linger_ms,
            "queue.buffering.max.messages": 1_000_000,
            "delivery.report.only.error": True,
        }
    )
    late_ms = array("d")
    gc.disable()
    sent = 0
    start_ms = time.time_ns() // 1_000_000 + AHEAD_MS
    print(READY, flush=True)
    for tick in count():
        if stopping:
            break
        due_ms = start_ms + tick
        wait_s = due_ms / 1000 - time.time()
        if wait_s > 0:
            time.sleep(wait_s)
        late_ms.append(time.time() * 1000 - due_ms)
        due = due_by(tick, int(rate))
        for number in range(sent, due):
            value, key = pool[number % POOL]
            producer.produce(topic, value, key, timestamp=due_ms)
        sent = due
        producer.poll(0)
    left = producer.flush(FLUSH_S)
    print(json.dumps({"sent": sent - left, "late_p99_ms": float(np.quantile(np.frombuffer(late_ms), 0.99))}))


if __name__ == "__main__":
    main()
