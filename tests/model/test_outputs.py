import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from stream_infer.errors import Stop
from stream_infer.model.manifest import Outputs
from stream_infer.model.outputs import Activated, BadOutput, check_width, score

tables = arrays.arrays(np.float32, st.tuples(st.integers(0, 20), st.integers(2, 5)), elements=st.floats(0, 1, width=32))
SIGMOID = Outputs(task="classification", activation="sigmoid", labels=("no", "yes"))


@given(tables)
@settings(deadline=None)
def test_classification_predicts_the_arg_max_with_its_name_and_its_score(scores: NDArray[np.float32]) -> None:
    labels = tuple(f"label {index}" for index in range(scores.shape[1]))
    found = score(scores, Outputs(task="classification", activation="softmax", labels=labels))
    best = [row.index(max(row)) for row in scores.tolist()]
    assert found.prediction_column().to_pylist() == best
    assert found.label_column().to_pylist() == [labels[index] for index in best]
    assert found.confidence_column().to_pylist() == [max(row) for row in scores.tolist()]
    assert found.scores_column().to_pylist() == scores.tolist()


@given(st.lists(st.floats(0, 1, width=16)))
@settings(deadline=None)
def test_one_sigmoid_output_scores_both_classes(chances: list[float]) -> None:
    found = score(np.array(chances, dtype=np.float32).reshape(-1, 1), SIGMOID)
    assert found.scores.tolist() == [[1 - p, p] for p in chances]
    assert found.label_column().to_pylist() == ["yes" if p > 0.5 else "no" for p in chances]


def test_several_sigmoid_outputs_are_independent_and_predict_nothing() -> None:
    found = score(np.ones((2, 3), dtype=np.float32), SIGMOID)
    for column in (found.prediction_column(), found.label_column(), found.confidence_column()):
        assert column.to_pylist() == [None, None]
    assert found.scores.shape == (2, 3)


def test_regression_predicts_the_one_value_in_double_precision() -> None:
    found = score(np.array([[0.1], [1e300]]), Outputs(task="regression"))
    assert found.prediction_column().to_pylist() == [0.1, 1e300]
    assert found.confidence_column().null_count == 2
    assert found.scores.dtype == np.float32


@pytest.mark.parametrize("outputs", [Outputs(task="regression"), Outputs(task="raw")])
def test_several_numbers_without_classes_predict_nothing(outputs: Outputs) -> None:
    found = score(np.ones((2, 3), dtype=np.float32), outputs)
    assert found.prediction_column().to_pylist() == [None, None]


@given(tables, st.data())
@settings(deadline=None)
def test_taking_rows_and_withholding_rows_leave_the_others_as_they_are(
    scores: NDArray[np.float32],
    data: st.DataObject,
) -> None:
    labels = tuple(map(str, range(scores.shape[1])))
    whole = score(scores, Outputs(task="classification", labels=labels))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))), dtype=bool)
    some = whole.without(mask)
    for full, part, nothing in (
        (whole.prediction_column(), some.prediction_column(), None),
        (whole.label_column(), some.label_column(), None),
        (whole.confidence_column(), some.confidence_column(), None),
        (whole.scores_column(), some.scores_column(), []),
    ):
        assert part.to_pylist() == [nothing if out else one for one, out in zip(full.to_pylist(), mask, strict=True)]
    taken = some.take(np.flatnonzero(~mask))
    assert taken.label_column().to_pylist() == [one for one in some.label_column().to_pylist() if one is not None]


@pytest.mark.parametrize(
    ("outputs", "width"),
    [
        (Outputs(task="classification", activation="softmax"), 1),
        (Outputs(task="classification", labels=("a", "b")), 3),
        (Outputs(task="classification", activation="sigmoid", labels=("a",)), 1),
    ],
)
def test_outputs_that_cannot_mean_what_the_manifest_says_are_refused(outputs: Outputs, width: int) -> None:
    with pytest.raises(Stop, match=r"^model.yaml .*, expected "):
        check_width(outputs, width)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_any_numbers_come_back_in_a_type_that_numpy_knows(dtype: torch.dtype) -> None:
    output = Activated(lambda x: x.to(dtype), "none")(torch.tensor([1.0, 2.0]))
    assert output.numpy().tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ((torch.ones(2), torch.ones(2)), "it returned a tuple, expected one tensor"),
        (torch.ones(()), r"it returned shape \[\] for 2 rows, expected \[2\] or \[2, k\]"),
        (torch.ones(3, 2), r"it returned shape \[3, 2\] for 2 rows, .*"),
        (torch.ones(2, 2, 2), r"it returned shape \[2, 2, 2\] for 2 rows, .*"),
        (torch.ones(2, 0), r"it returned shape \[2, 0\] for 2 rows, .*"),
    ],
)
def test_an_output_that_is_not_a_row_for_a_row_is_refused(returned: torch.Tensor, sentence: str) -> None:
    with pytest.raises(BadOutput, match=rf"^{sentence}$"):
        Activated(lambda _x: returned, "none")(torch.ones(2))
