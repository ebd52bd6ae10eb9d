"""A histogram that takes a batch at a time counts what prometheus-client's counts one value after the other."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from stream_infer.metrics import DURATION_BUCKETS_S
from stream_infer.metrics.histogram import FEW, SHARE_BUCKETS, Buckets, BulkHistogram

NAME = "told"
BUCKET = f"{NAME}_bucket"
VALUES = st.sampled_from(DURATION_BUCKETS_S) | st.floats(0.0, 100.0)


def samples(collector: Collector) -> dict[tuple[str, str], float]:
    """Return what a page says of a histogram, by sample and upper edge."""
    return {
        (one.name, one.labels.get("le", "")): one.value
        for family in collector.collect()
        for one in family.samples
        if not one.name.endswith("_created")
    }


def told_one_by_one(values: NDArray[np.float64]) -> dict[tuple[str, str], float]:
    """Return what prometheus-client's own histogram says of them."""
    theirs = Histogram(NAME, NAME, registry=CollectorRegistry(), buckets=DURATION_BUCKETS_S)
    for value in values.tolist():
        theirs.observe(value)
    return samples(theirs)


@given(batches=st.lists(st.lists(VALUES, max_size=20), max_size=5))
def test_batches_are_counted_as_their_values_are(batches: list[list[float]]) -> None:
    ours = BulkHistogram(NAME, NAME, DURATION_BUCKETS_S)
    for batch in batches:
        ours.series().observe(np.array(batch, dtype=np.float64))
    flat = np.array([value for batch in batches for value in batch], dtype=np.float64)
    assert samples(ours) == pytest.approx(told_one_by_one(flat))


def test_a_value_in_another_bucket_is_found() -> None:
    ours = BulkHistogram(NAME, NAME, DURATION_BUCKETS_S)
    ours.series().observe(np.array([np.nextafter(0.5, 1.0)]))
    assert samples(ours) != pytest.approx(told_one_by_one(np.array([0.5])))


def counted(buckets: Buckets) -> dict[str, float]:
    """Return what a page says of one series, by sample and upper edge."""
    family = HistogramMetricFamily(NAME, NAME, labels=())
    buckets.add_to(family, ())
    return {one.name + one.labels.get("le", ""): one.value for one in family.samples}


@given(values=st.lists(VALUES | st.just(math.nan), max_size=3 * FEW), kind=st.sampled_from([np.float32, np.float64]))
def test_it_does_not_matter_how_many_values_come_at_once(values: list[float], kind: type[np.floating[Any]]) -> None:
    whole, parts = Buckets(DURATION_BUCKETS_S), Buckets(DURATION_BUCKETS_S)
    whole.observe(np.array(values, dtype=kind))
    for value in values:
        parts.observe(np.array([value], dtype=kind))
    assert counted(parts) == pytest.approx(counted(whole), nan_ok=True)


@given(value=VALUES, times=st.integers(0, 9))
def test_a_value_that_is_counted_several_times_is_as_many_values(value: float, times: int) -> None:
    once, one_by_one = Buckets(DURATION_BUCKETS_S), Buckets(DURATION_BUCKETS_S)
    once.add(value, times=times)
    for _ in range(times):
        one_by_one.add(value)
    assert counted(once) == pytest.approx(counted(one_by_one))


def test_each_value_of_a_label_has_a_series_from_the_start() -> None:
    ours = BulkHistogram(NAME, NAME, DURATION_BUCKETS_S, by=("stage", ("decode", "infer")))
    ours.series("infer").add(0.3)
    found = {one.labels["stage"]: one.value for one in next(ours.collect()).samples if one.name == f"{NAME}_count"}
    assert found == {"decode": 0, "infer": 1}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("edge", SHARE_BUCKETS)
def test_a_value_on_an_edge_is_counted_at_the_edge_in_its_own_precision(
    kind: type[np.floating[Any]], edge: float
) -> None:
    buckets = Buckets(SHARE_BUCKETS)
    buckets.observe(np.array([edge], dtype=kind))
    found = {float(name.removeprefix(BUCKET)): n for name, n in counted(buckets).items() if name.startswith(BUCKET)}
    assert [found[upper] for upper in sorted(found)] == [float(upper >= edge) for upper in (*SHARE_BUCKETS, np.inf)]
