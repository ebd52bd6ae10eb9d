"""Warming a broker up for transactions: its Java compiles what they need only when thousands have been made."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

COMPILERS = ("C1 CompilerThre", "C2 CompilerThre")
"""As Linux shows the names of Java's compiler threads, cut to 15 characters."""
IDLE_SHARE = 0.05
"""The share of one core below which the compilers have done their work."""
PRODUCERS = 8
"""A transaction mostly waits, for the end of the one before: eight at a time are eight times as many."""
EACH = 125
STEPS = 20
ANSWER_S = 60.0


class Committer:
    """A producer of transactions as a worker's: a record to each partition of `output`, and a group's positions."""

    def __init__(self, bootstrap_servers: str, *, name: str, source: str, output: str, partitions: int) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": name, "linger.ms": 0})
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": name})
        self._producer.init_transactions(ANSWER_S)
        self._source = source
        self._output = output
        self._partitions = range(partitions)

    def commit(self, times: int) -> None:
        """Make so many transactions, one after the other."""
        positions = [TopicPartition(self._source, partition, 0) for partition in self._partitions]
        for _ in range(times):
            self._producer.begin_transaction()
            for partition in self._partitions:
                self._producer.produce(self._output, value=b"", partition=partition)
            group = self._consumer.consumer_group_metadata()
            self._producer.send_offsets_to_transaction(positions, group, ANSWER_S)
            self._producer.commit_transaction(ANSWER_S)

    def close(self) -> None:
        """Let the consumer, which only stands for its group, go."""
        self._consumer.close()


def compiling_s() -> float:
    """Return the CPU seconds so far of the compiler threads of Java processes that this process started.

    0 where the system tells no names of threads, and for brokers that others started.
    """
    children = psutil.Process().children(recursive=True)
    return sum(seconds for process in children for seconds in _compilers(process))


def _compilers(process: psutil.Process) -> Iterator[float]:
    for thread in process.threads():
        with suppress(OSError):  # a thread that has ended meanwhile, or a system without these files
            name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text(encoding="utf-8")
            if name.strip() in COMPILERS:
                yield thread.user_time + thread.system_time


def shares(
    step: Callable[[], object],
    *,
    compiled_s: Callable[[], float] = compiling_s,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[float]:
    """Take steps until the compilers are idle in one, at most 20, and give their share of a core in each."""
    for _ in range(STEPS):
        before_s, begun_s = compiled_s(), now()
        step()
        share = (compiled_s() - before_s) / (now() - begun_s)
        yield share
        if share < IDLE_SHARE:
            return


def warm_transactions(
    bootstrap_servers: str, *, source: str, output: str, partitions: int, say: Callable[[str], None]
) -> None:
    """Make transactions until the brokers that this process started compile no more, at most 20,000."""
    committers = [
        Committer(bootstrap_servers, name=f"{output}-{number}", source=source, output=output, partitions=partitions)
        for number in range(PRODUCERS)
    ]
    with ThreadPoolExecutor(PRODUCERS) as threads:
        found = shares(lambda: list(threads.map(lambda one: one.commit(EACH), committers)))
        for made, share in zip(count(PRODUCERS * EACH, PRODUCERS * EACH), found, strict=False):
            say(f"warming the broker up: {made:,} transactions, its compilers use {share:.0%} of a core")
    for one in committers:
        one.close()
