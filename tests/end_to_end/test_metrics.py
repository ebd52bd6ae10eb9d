"""The metrics page of real workers on a real Kafka."""

import statistics
from collections.abc import Sequence

import pytest
from confluent_kafka import Producer

from tests.end_to_end.events import Sent, make_events
from tests.end_to_end.flow import Flow
from tests.end_to_end.harness import Crew, WorkerProcess
from tests.end_to_end.job import WIDTH, Job, JobMaker
from tests.end_to_end.pages import Page, read
from tests.end_to_end.test_drain import final_counters

LAG, AGE = "stream_infer_consumer_lag_records", "stream_infer_oldest_unscored_age_seconds"
PAUSE = "stream_infer_longest_partition_pause_seconds"
PRODUCED = "stream_infer_predictions_produced_total"
EVENTS = 3_000
PAGES = 20
LOOSE_LIMIT_S = 2.0
"""A page takes some milliseconds; two cores that others use too may make anything wait."""
OFTEN = {
    "consumer_properties": {
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1000,
        "statistics.interval.ms": 500,
    }
}


def send_in_a_transaction(job: Job, records: Sequence[Sent]) -> None:
    """Send events that a marker follows in every partition."""
    producer = Producer({"bootstrap.servers": job.bootstrap_servers, "transactional.id": job.application_id + "-in"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number, record in enumerate(records):
        producer.produce(job.input, record.value, record.key, number % 4)
    producer.commit_transaction(30)


def is_caught_up(page: Page, partitions: int) -> bool:
    """Return whether the lag of all partitions is known and none is behind."""
    lag = page.partitions(LAG)
    return len(lag) == partitions and not any(lag.values())


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_when_everything_is_answered_nothing_lags_and_all_counts_are_the_same(
    make_job: JobMaker, guarantee: str
) -> None:
    delivery = {"processing_guarantee": guarantee}
    job = make_job(settings={"kafka": OFTEN, "delivery": delivery}, manifest={"allowed_batch_sizes": [64, 256]})
    send_in_a_transaction(job, make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until(lambda: is_caught_up(read(worker), 4), what="no lag")
        crew.until(lambda: crew.watch.waiting() == 4, what="all but the markers committed")
        # A transaction is counted when its end is known here, which is after the broker has ended it.
        crew.until(lambda: read(worker).sum(PRODUCED) == EVENTS, what="all counted")
        crew.until(lambda: read(worker).sum("stream_infer_ready") == 1.0, what="ready")
        page = read(worker)
        assert_counts(page, guarantee)
        assert set(page.partitions(AGE).values()) == {0.0}
        assert page.sum(PAUSE) == 0.0
        assert page.sum("stream_infer_model_state", version="1", state="ACTIVE") == 1.0
        assert page.sum("stream_infer_model_state") == 1.0
        assert 0.0 < page.sum("stream_infer_padding_ratio") < 1.0
        assert 0.0 < page.sum("stream_infer_device_busy_ratio") < 1.0
        assert crew.drain(worker) == 0
        assert final_counters(worker)["predictions_produced_total"] == EVENTS


def assert_counts(page: Page, guarantee: str) -> None:
    counted = [
        "records_consumed_total",
        "predictions_produced_total",
        "predictions_by_label_total",
        "batch_records_sum",
        "end_to_end_latency_seconds_count",
    ]
    assert {name: page.sum(f"stream_infer_{name}") for name in counted} == dict.fromkeys(counted, EVENTS)
    commits = {
        "at_least_once": page.sum("stream_infer_commits_total", outcome="committed"),
        "exactly_once_v2": page.sum("stream_infer_transactions_total", outcome="committed"),
    }
    assert commits[guarantee] > 0
    assert page.sum("stream_infer_rebalances_total", kind="assigned") >= 1
    assert page.sum("stream_infer_model_swap_duration_seconds_count") == len(["fetching", "verifying", "loading"]) + 2


def test_metrics_of_a_partition_leave_with_it(make_job: JobMaker) -> None:
    job = make_job(settings={"kafka": OFTEN})
    job.send(make_events(400, width=WIDTH))
    with job.crew() as crew:
        first = crew.start()
        crew.until(lambda: len(read(first).partitions(LAG)) == 4, what="all four partitions on the first page")
        second = crew.start()
        crew.until(lambda: shares(first, second) == [2, 2], what="two partitions on either page")
        assert not set(read(first).partitions(AGE)) & set(read(second).partitions(AGE))
        assert read(first).sum("stream_infer_rebalances_total", kind="revoked") >= 1


def shares(*workers: WorkerProcess) -> list[int]:
    """Return how many partitions the page of each worker names, where it owns as many."""
    pages = [read(worker) for worker in workers]
    named = [len(page.partitions(AGE)) for page in pages]
    return named if named == [page.sum("stream_infer_assigned_partitions") for page in pages] else []


def test_a_page_is_quick_while_events_flow(make_job: JobMaker) -> None:
    job = make_job(settings={"kafka": OFTEN})
    flow = Flow(job)
    with job.crew() as crew, flow.running():
        worker = crew.start()
        crew.until_answered(2_000)
        took_s = pages_while_answering(crew, worker)
    print(f"{PAGES} pages: median {1000 * statistics.median(took_s):.1f} ms, slowest {1000 * max(took_s):.1f} ms")
    assert statistics.median(took_s) < LOOSE_LIMIT_S


def pages_while_answering(crew: Crew, worker: WorkerProcess) -> list[float]:
    """Return how long each of some pages took, between which more was answered."""
    took_s = []
    for _ in range(PAGES):
        page = read(worker)
        assert page.sum(PRODUCED) > 0
        took_s.append(page.took_s)
        crew.until_answered(crew.watch.answered() + 100)
    return took_s
