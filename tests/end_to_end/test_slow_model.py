import time

import pytest

from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.events import make_events
from tests.end_to_end.group import members, shortest_session_ms
from tests.end_to_end.job import WIDTH, JobMaker
from tests.end_to_end.slow_model import VERSION, write_slow

HIDDEN = (16,)
SHORTEST_INTERVAL_S = 2
# Amply, because the model is calibrated while other programs may slow the machine down.
SLOWER_BY = 2.5
BATCH = 256
QUEUE_LIMIT = 512
EVENTS = 600
# Several calls of the model come before the first answer: each takes longer where other tests run beside it.
FIRST_ANSWER_TIMEOUT_S = 240


@pytest.mark.parametrize("guarantee", ["at_least_once", pytest.param("exactly_once_v2", marks=pytest.mark.faults)])
def test_a_model_slower_than_the_poll_interval_never_costs_the_membership(make_job: JobMaker, guarantee: str) -> None:
    # As short as the brokers allow: the model must take longer, and is run several times before it serves.
    interval_s = max(SHORTEST_INTERVAL_S, shortest_session_ms(make_job.bootstrap_servers) / 1000)
    interval_ms = int(interval_s * 1000)
    limits = {
        "max.poll.interval.ms": interval_ms,
        "session.timeout.ms": interval_ms,
        "heartbeat.interval.ms": interval_ms // 5,
    }
    job = make_job(
        hidden=HIDDEN,
        settings={
            "kafka": {"consumer_properties": limits},
            "batching": {"max_batch_size": BATCH, "queue_limit_records": QUEUE_LIMIT, "max_queue_delay_ms": 500},
            "model": {"version": VERSION},
            "delivery": {"processing_guarantee": guarantee},
        },
    )
    write_slow(job.folder / "models", HIDDEN, rows=BATCH, seconds=interval_s * SLOWER_BY)
    job.references[VERSION] = job.references["1"]
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until_answered(1, within_s=FIRST_ANSWER_TIMEOUT_S)
        first_s = time.monotonic()
        before = members(job.bootstrap_servers, job.application_id)
        # Amply beyond the first batch: the marks of transactions count too.
        crew.until_answered(BATCH * 3 // 2)
        assert time.monotonic() - first_s > interval_s, "the model was too fast to show anything"
        crew.until_done()
        assert members(job.bootstrap_servers, job.application_id) == before
        assert list(before.values()) == [4]
        assert crew.drain(worker) == 0
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert duplicates(history) == 0
