"""A histogram that takes a batch at a time counts what prometheus-client's counts one value after the other."""

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
from stream_infer.metrics.histogram import SHARE_BUCKETS, Buckets, BulkHistogram

NAME = "told"
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
        ours.observe(np.array(batch, dtype=np.float64))
    flat = np.array([value for batch in batches for value in batch], dtype=np.float64)
    assert samples(ours) == pytest.approx(told_one_by_one(flat))


def test_a_value_in_another_bucket_is_found() -> None:
    ours = BulkHistogram(NAME, NAME, DURATION_BUCKETS_S)
    ours.observe(np.array([np.nextafter(0.5, 1.0)]))
    assert samples(ours) != pytest.approx(told_one_by_one(np.array([0.5])))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("edge", SHARE_BUCKETS)
def test_a_value_on_an_edge_is_counted_at_the_edge_in_its_own_precision(
    kind: type[np.floating[Any]], edge: float
) -> None:
    buckets, family = Buckets(SHARE_BUCKETS), HistogramMetricFamily(NAME, NAME, labels=())
    buckets.observe(np.array([edge], dtype=kind))
    buckets.add_to(family, ())
    counted = {one.labels["le"]: one.value for one in family.samples if one.name.endswith("_bucket")}
    assert [count for _, count in sorted(counted.items(), key=lambda one: float(one[0]))] == [
        float(upper >= edge) for upper in (*SHARE_BUCKETS, np.inf)
    ]
