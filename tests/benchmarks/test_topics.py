from pathlib import Path

import numpy as np

from benchmarks.answers import due_times
from benchmarks.competitors import Task
from benchmarks.scaling import TIMEOUT_S, hidden
from benchmarks.watch import RecordCount
from stream_infer.testing.kafka import Cluster, Topics

EVENTS = 3000
PARTITIONS = 3


def test_events_are_hidden_until_their_transaction_is_over_and_its_markers_are_no_events(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    source = topics.create("events", partitions=PARTITIONS)
    nowhere = topics.name("nowhere")
    task = Task(
        kafka.bootstrap_servers,
        source,
        nowhere,
        nowhere,
        nowhere,
        nowhere,
        topics.name("group"),
        64,
        tmp_path,
        tmp_path,
    )
    loader, count = hidden(task, events=EVENTS), RecordCount(kafka.bootstrap_servers, source)
    assert (count(), count.seen(expected=0)) == (EVENTS, 0)
    loader.commit_transaction(TIMEOUT_S)
    assert count.seen(expected=EVENTS) == EVENTS
    assert count() == EVENTS + PARTITIONS
    due = due_times(kafka.bootstrap_servers, source)
    assert sorted(due) == list(range(PARTITIONS))
    assert sum(int((~np.isnan(times)).sum()) for times in due.values()) == EVENTS
