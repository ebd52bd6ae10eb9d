"""What the model says is counted once a row, under few labels and few versions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.metrics.scores import MOST_LABELS, MOST_VERSIONS, NO_LABEL, OTHER, Said, Scores

COUNTED = "stream_infer_predictions_by_label_total"
SURE = "stream_infer_prediction_confidence_count"


def told(scores: Scores, name: str) -> dict[tuple[str, ...], float]:
    """Return a name's values by version, and by label where there is one."""
    return {
        tuple(one.labels.values()): one.value
        for family in scores.collect()
        for one in family.samples
        if one.name == name
    }


def said(labels: int, rows: list[tuple[int, bool]], *, version: str = "1") -> Said:
    """Return what a version said of rows: of each its label, and whether its answer was withheld."""
    names = tuple(f"l{number}" for number in range(labels))
    found = np.array([label for label, _ in rows], dtype=np.int64)
    withheld = np.array([gone for _, gone in rows], dtype=np.bool_)
    return Said(version, len(rows), names, found, np.full(len(rows), 0.5, dtype=np.float32), withheld)


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, list[list[tuple[int, bool]]]]:
    labels = draw(st.integers(1, 2 * MOST_LABELS))
    row = st.tuples(st.integers(0, labels - 1), st.booleans())
    return labels, draw(st.lists(st.lists(row, max_size=30), min_size=1, max_size=4))


@given(made=batches())
def test_every_row_is_counted_under_one_label_and_no_more_labels_than_there_may_be(
    made: tuple[int, list[list[tuple[int, bool]]]],
) -> None:
    labels, told_rows = made
    scores = Scores()
    for rows in told_rows:
        scores.add(said(labels, rows))
    flat = [row for rows in told_rows for row in rows]
    found = {label: count for (_, label), count in told(scores, COUNTED).items()}
    assert sum(found.values()) == len(flat)
    assert found.get(NO_LABEL, 0) == sum(gone for _, gone in flat)
    assert found["l0"] == sum(label == 0 and not gone for label, gone in flat)
    assert len(found.keys() - {NO_LABEL}) == min(labels, MOST_LABELS)
    assert (OTHER in found) == (labels > MOST_LABELS)
    assert told(scores, SURE) == {("1",): sum(not gone for _, gone in flat)}


@given(made=batches())
def test_rows_are_counted_alike_however_many_come_at_once(made: tuple[int, list[list[tuple[int, bool]]]]) -> None:
    labels, told_rows = made
    flat = [row for rows in told_rows for row in rows]
    whole, singly = Scores(), Scores()
    whole.add(said(labels, flat))
    singly.add(said(labels, []))
    for row in flat:
        singly.add(said(labels, [row]))
    assert told(whole, COUNTED) == told(singly, COUNTED)


def test_of_many_versions_those_are_kept_that_answered_last() -> None:
    scores = Scores()
    for number in [*range(MOST_VERSIONS), 0, MOST_VERSIONS]:
        scores.add(said(1, [(0, False)], version=str(number)))
    kept = {version for version, _ in told(scores, COUNTED)}
    assert kept == {str(number) for number in range(MOST_VERSIONS + 1)} - {"1"}
    assert told(scores, COUNTED)[("0", "l0")] == len("00")


def test_a_version_that_comes_back_with_other_labels_begins_anew() -> None:
    scores = Scores()
    scores.add(said(2, [(0, False), (1, False)]))
    scores.add(said(1, [(0, False)]))
    assert told(scores, COUNTED) == {("1", "l0"): 1}


def test_a_task_without_labels_is_counted_by_version() -> None:
    scores = Scores()
    scores.add(Said("1", 5))
    assert told(scores, COUNTED) == {("1", NO_LABEL): 5}
