from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from stream_infer.clock import SystemClock
from stream_infer.demo.gauges import BatchSizes, Gauges, read_batch_sizes
from stream_infer.metrics import SIZE_BUCKETS, Metrics


def page(sizes: list[int]) -> str:
    metrics = Metrics(version="0", clock=SystemClock())
    for size in sizes:
        metrics.batches(size, of=size, trigger="size")
    return generate_latest(metrics.registry).decode()


@given(st.lists(st.integers(1, SIZE_BUCKETS[-1]), min_size=1, max_size=50))
def test_batch_sizes_are_what_the_workers_metrics_counted(sizes: list[int]) -> None:
    read = read_batch_sizes(page(sizes))
    assert read.batches == len(sizes)
    assert read.records == sum(sizes)
    assert read.mean_records == sum(sizes) / len(sizes)
    # Fewer than 100 batches: 99 % of them are all of them.
    assert read.p99_records == min(edge for edge in SIZE_BUCKETS if edge >= max(sizes))


def test_a_page_without_batches_says_nothing() -> None:
    assert read_batch_sizes(page([])) == read_batch_sizes("") == BatchSizes()


def test_a_page_that_does_not_answer_changes_nothing() -> None:
    answers = iter([page([5]), None])
    gauges = Gauges(lambda: next(answers))
    assert gauges.refresh() == gauges.refresh() == gauges.latest
    assert gauges.latest.records == 5
