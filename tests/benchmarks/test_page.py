import pytest

from benchmarks.page import Page, busy, formed, parse

EARLY = """
# TYPE stream_infer_batch_records histogram
stream_infer_batch_records_bucket{le="+Inf"} 2.0
stream_infer_batch_records_count 2.0
stream_infer_batch_records_sum 100.0
# TYPE stream_infer_stage_duration_seconds histogram
stream_infer_stage_duration_seconds_count{stage="infer"} 2.0
stream_infer_stage_duration_seconds_sum{stage="infer"} 1.0
stream_infer_stage_duration_seconds_count{stage="commit"} 1.0
stream_infer_stage_duration_seconds_sum{stage="commit"} 9.0
# TYPE stream_infer_queue_records gauge
stream_infer_queue_records 77.0
# TYPE stream_infer_assigned_partitions gauge
stream_infer_assigned_partitions 4.0
"""
LATE = (
    EARLY.replace("count 2.0", "count 5.0")
    .replace("sum 100.0", "sum 1624.0")
    .replace('_sum{stage="infer"} 1.0', '_sum{stage="infer"} 4.0')
)


@pytest.fixture
def early() -> Page:
    return parse(EARLY)


@pytest.fixture
def late() -> Page:
    return parse(LATE)


def test_a_page_tells_batches_stages_queues_and_partitions(early: Page) -> None:
    assert early.formed.mean == 50.0
    assert early.stage_s == {"infer": 1.0, "commit": 9.0}
    assert (early.queue_records, early.queue_bytes, early.assigned) == (77.0, 0.0, 4.0)


def test_a_worker_that_has_formed_no_batch_has_no_mean() -> None:
    assert parse("").formed.mean is None


def test_batches_are_those_between_two_readings_and_not_those_of_the_start(early: Page, late: Page) -> None:
    assert formed([early], [late]) == pytest.approx(1524 / 3)
    assert formed([early], [early]) is None


def test_the_busy_share_is_that_between_two_readings_and_leaves_commits_out(early: Page, late: Page) -> None:
    found = busy(early, late, wall_s=4.0)
    assert found["infer"] == pytest.approx(0.75)
    assert found["all"] == pytest.approx(0.75)
    assert "commit" not in found
