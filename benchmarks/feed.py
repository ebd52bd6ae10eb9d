"""Keeps a topic ahead of whoever reads it, as a process of its own, until SIGTERM.

It tops the topic up to AHEAD events more than the output has, with the same few events over and over, which compress
well: ten minutes at full load must fit on a disk. Prints that it is ready and, at the end, how many it sent.

    python -m benchmarks.feed BOOTSTRAP_SERVERS TOPIC OUTPUT AHEAD
"""

import signal
import sys
import time

import numpy as np
from confluent_kafka import Producer

from benchmarks.job import EVENT, make_events
from benchmarks.watch import RecordCount
from stream_infer.avro import Encoder

POOL = 256
CHUNK = 20_000
PAUSE_S = 0.05
FLUSH_S = 30.0
READY = "ready"


def missing(*, sent: int, answered: int, ahead: int) -> int:
    """Return how many events to send so that `ahead` wait, at most a chunk."""
    return max(0, min(CHUNK, answered + ahead - sent))


def main() -> None:
    bootstrap_servers, topic, output, ahead = sys.argv[1:]
    encoded = Encoder(EVENT, output_format="single_object").encode(make_events(0, POOL, np.random.default_rng(0)))
    pool = [(value, b"entity-%d" % number) for number, value in enumerate(encoded)]
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            "delivery.report.only.error": True,
        }
    )
    answered = RecordCount(bootstrap_servers, output)
    sent = 0
    print(READY, flush=True)
    while not stopping:
        more = missing(sent=sent, answered=answered(), ahead=int(ahead))
        for number in range(sent, sent + more):
            value, key = pool[number % POOL]
            producer.produce(topic, value, key)
        sent += more
        producer.poll(0)
        if not more:
            time.sleep(PAUSE_S)
    print(sent - producer.flush(FLUSH_S))


if __name__ == "__main__":
    main()
