"""Readers that forget their brokers: the worker goes on without being started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.kafka.properties import free_port
from tests.checker.laws import unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.harness import Crew, WorkerProcess
from tests.end_to_end.job import WIDTH, Job, JobMaker
from tests.faults.network import Network

EVENTS = 20_000
WORKER = "behind-the-network"
FORGOTTEN_WITHIN_S = 60.0
OFTEN = {"topic.metadata.refresh.interval.ms": "1000", "statistics.interval.ms": "1000"}
REPLACED = ("the group is joined by a new consumer", "is read by a new client")

pytestmark = pytest.mark.broker


@pytest.fixture
def network(stoppable_kafka: Cluster) -> Iterator[Network]:
    """Return the only way by which the test's worker reaches the broker."""
    port = int(stoppable_kafka.bootstrap_servers.rpartition(":")[2])
    with Network({free_port(): port}) as network:
        yield network


@pytest.fixture
def maker(stoppable_kafka: Cluster, tmp_path: Path, model_cache: Path) -> Iterator[JobMaker]:
    topics = Topics(stoppable_kafka.bootstrap_servers)
    yield JobMaker(stoppable_kafka.bootstrap_servers, topics, tmp_path, model_cache)
    topics.delete_all()


def start(crew: Crew, network: Network) -> WorkerProcess:
    way = {"STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS": network.bootstrap_servers, "STREAM_INFER_WORKER_ID": WORKER}
    return crew.start(env=way)


def assert_nothing_is_lost(job: Job, crew: Crew) -> None:
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_worker_whose_readers_forgot_all_brokers_goes_on_by_itself(
    network: Network, maker: JobMaker, guarantee: str
) -> None:
    job = maker(
        hidden=(384, 384),
        settings={"kafka": {"properties": OFTEN}, "delivery": {"processing_guarantee": guarantee}},
    )
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = start(crew, network)
        crew.until_answered(EVENTS // 8)
        network.hide_brokers(WORKER)
        crew.until(
            lambda: all(words in worker.log_text() for words in REPLACED),
            within_s=FORGOTTEN_WITHIN_S,
            what="both readers were replaced",
        )
        job.send(make_events(1_000, width=WIDTH, first=EVENTS))
        network.hide_brokers(WORKER, hide=False)
        crew.until_done()
        assert crew.drain(worker) == 0
        assert_nothing_is_lost(job, crew)
