"""Notes when each prediction can be read, as a process of its own, until SIGTERM.

Writes an array of two rows: the record's timestamp, which is when its event was due, and when it was read, both in
milliseconds since 1970.

    python -m benchmarks.arrivals BOOTSTRAP_SERVERS TOPIC FILE.npy
"""

import gc
import signal
import sys
import time
from array import array

import numpy as np
from confluent_kafka import Consumer, TopicPartition

WAIT_S = 0.1
AT_ONCE = 10_000
READY = "ready"


def main() -> None:
    bootstrap_servers, topic, file = sys.argv[1:4]
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "arrivals", "fetch.queue.backoff.ms": 1, "log_level": 0}
    )
    known = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in known}
    consumer.assign([TopicPartition(topic, number, end) for number, end in ends.items()])
    due_ms, read_ms = array("d"), array("d")
    print(READY, flush=True)
    gc.disable()
    while not stopping:
        first = consumer.poll(WAIT_S)
        now_ms = time.time() * 1000
        if first is None:
            continue
        for message in (first, *consumer.consume(AT_ONCE, 0)):
            due_ms.append(message.timestamp()[1])
            read_ms.append(now_ms)
    consumer.close()
    np.save(file, np.stack([np.frombuffer(due_ms), np.frombuffer(read_ms)]))


if __name__ == "__main__":
    main()
