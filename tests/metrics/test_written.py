"""What was answered is counted when it stays, and never when it was rolled back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.metrics import Metrics, Said
from stream_infer.metrics.histogram import FEW
from stream_infer.testing.clock import HandClock

ANSWERED = (
    "stream_infer_predictions_produced_total",
    "stream_infer_predictions_by_label_total",
    "stream_infer_end_to_end_latency_seconds_count",
)
LABELED = {"stream_infer_predictions_by_label_total": {"version": "1", "label": ""}}
REFUSED = {"stage": "decode", "reason": "undecodable"}


def value(metrics: Metrics, name: str, labels: dict[str, str] | None = None) -> float:
    return metrics.registry.get_sample_value(name, labels or LABELED.get(name, {})) or 0.0


@given(ends=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=8))
def test_only_what_stays_is_counted_and_everything_agrees(ends: list[tuple[int, int, int, bool]]) -> None:
    metrics = Metrics(version="0", clock=HandClock(now_s=50.0))
    for answered, refused, skipped, stays in ends:
        metrics.answered(Said("1", answered), timestamps_ms=np.full(answered, 49_000))
        metrics.dead_lettered([Reject(row, Stage.DECODE, Reason.UNDECODABLE, "not Avro") for row in range(refused)])
        metrics.skipped(skipped)
        metrics.confirm() if stays else metrics.discard()
    kept = [end[:3] for end in ends if end[3]]
    answered, refused, skipped = (sum(column) for column in zip(*kept, strict=True)) if kept else (0, 0, 0)
    assert [value(metrics, name) for name in ANSWERED] == [answered] * 3
    assert value(metrics, "stream_infer_dead_letters_total", REFUSED) == refused
    assert value(metrics, "stream_infer_records_skipped_total") == skipped
    totals = metrics.totals()
    assert (totals.answered, totals.dead_lettered, totals.skipped) == (answered, refused, skipped)
    assert value(metrics, "stream_infer_end_to_end_latency_seconds_sum") == pytest.approx(answered)


@pytest.mark.parametrize("times", [1, FEW])
def test_a_record_without_a_timestamp_has_no_latency_and_one_from_the_future_has_none_below_zero(times: int) -> None:
    metrics = Metrics(version="0", clock=HandClock(now_s=50.0))
    stamps_ms = np.array([-1, 60_000, 48_000] * times)
    metrics.answered(Said("1", len(stamps_ms)), timestamps_ms=stamps_ms)
    metrics.confirm()
    assert value(metrics, "stream_infer_predictions_produced_total") == 3.0 * times
    assert value(metrics, "stream_infer_end_to_end_latency_seconds_count") == 2.0 * times
    assert value(metrics, "stream_infer_end_to_end_latency_seconds_sum") == pytest.approx(2.0 * times)


@given(records=st.integers(1, 500), of=st.integers(1, 64))
def test_the_sizes_of_batches_add_up_to_their_records(records: int, of: int) -> None:
    metrics = Metrics(version="0", clock=HandClock())
    metrics.batches(records, of=of, trigger="size")
    assert value(metrics, "stream_infer_batch_records_sum") == records
    assert value(metrics, "stream_infer_batch_records_count") == -(-records // of)
    assert value(metrics, "stream_infer_batches_total", {"trigger": "size"}) == -(-records // of)


def test_series_of_small_closed_sets_begin_at_zero() -> None:
    metrics = Metrics(version="0", clock=HandClock())
    told = [
        ("stream_infer_batches_total", {"trigger": "size"}),
        ("stream_infer_model_swaps_total", {"outcome": "failed"}),
        ("stream_infer_transactions_total", {"outcome": "aborted"}),
    ]
    assert [metrics.registry.get_sample_value(name, labels) for name, labels in told] == [0.0] * len(told)
    assert metrics.registry.get_sample_value("stream_infer_model_swaps_total", {"outcome": "other"}) is None


def test_padding_is_a_share_of_the_rows_that_the_model_was_given() -> None:
    metrics = Metrics(version="0", clock=HandClock())
    metrics.called(48, padding=16)
    assert value(metrics, "stream_infer_padding_ratio") == pytest.approx(0.25)
