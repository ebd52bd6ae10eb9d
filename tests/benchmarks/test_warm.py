import itertools
import sys

import pytest

from benchmarks.warm import STEPS, Committer, compiling_s, shares
from benchmarks.watch import RecordCount
from stream_infer.testing.kafka import Cluster, Topics

PARTITIONS = 2
MADE = 3


def test_steps_end_with_the_first_in_which_the_compilers_are_idle() -> None:
    # Three steps of a second: they compile for 0.6 s, 0.3 s and 0.01 s of it.
    compiled = iter([0.0, 0.6, 0.6, 0.9, 0.9, 0.91])
    clock = itertools.chain.from_iterable((second, second + 1.0) for second in itertools.count())
    found = list(shares(lambda: None, compiled_s=lambda: next(compiled), now=lambda: next(clock)))
    assert found == pytest.approx([0.6, 0.3, 0.01])


def test_compilers_that_are_never_idle_do_not_hold_the_rounds_up_for_ever() -> None:
    seconds = itertools.count()
    busy = list(shares(lambda: None, compiled_s=lambda: next(seconds), now=lambda: float(next(seconds))))
    assert len(busy) == STEPS


def test_each_transaction_has_a_record_for_every_partition(kafka: Cluster, topics: Topics) -> None:
    output = topics.create("warm", partitions=PARTITIONS)
    committer = Committer(kafka.bootstrap_servers, name=output, source=output, output=output, partitions=PARTITIONS)
    committer.commit(MADE)
    committer.close()
    assert RecordCount(kafka.bootstrap_servers, output).seen(expected=MADE * PARTITIONS) == MADE * PARTITIONS


def test_the_compilers_of_java_are_seen_where_this_process_started_it_on_linux(private_kafka: Cluster) -> None:
    is_child = private_kafka.source.endswith("on local Java") and sys.platform == "linux"
    assert (compiling_s() > 0.0) == is_child
