import subprocess
from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from tests.checker.laws import unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.job import WIDTH, JobMaker

EVENTS = 40_000
OUTAGE_S = 8


@pytest.mark.broker
def test_a_broker_that_stops_for_a_while_costs_nothing_but_time(
    stoppable_kafka: Cluster, tmp_path: Path, model_cache: Path
) -> None:
    topics = Topics(stoppable_kafka.bootstrap_servers)
    job = JobMaker(stoppable_kafka.bootstrap_servers, topics, tmp_path, model_cache)(hidden=(384, 384))
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until_answered(EVENTS // 4)
        stoppable_kafka.stop()
        with pytest.raises(subprocess.TimeoutExpired):  # the worker would end here if it did not wait
            worker.wait(OUTAGE_S)
        stoppable_kafka.start()
        crew.until_done()
        job.send(make_events(1_000, width=WIDTH, first=EVENTS))
        crew.until_done()
        assert crew.drain(worker) == 0
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    topics.delete_all()
