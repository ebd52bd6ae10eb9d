"""What a loaded version answers, held against the plain module it was made of."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stream_infer.errors import Reason
from stream_infer.model import InferenceFailed, LoadedVersion
from stream_infer.testing.device import LaterDevice
from stream_infer.testing.models import MadeVersion, write_mlp, write_module
from tests.model.made import WIDTH, answer, assert_close, edit, lists, load, plain, table


@given(rows=st.integers(1, 40), seed=st.integers(0, 99))
@settings(deadline=None)
def test_answers_equal_the_plain_module_row_by_row(
    loaded: LoadedVersion, made: MadeVersion, rows: int, seed: int
) -> None:
    features = table(rows, seed=seed)
    assert_close(answer(loaded, lists(features.tolist())).scores, plain(made, features))


@given(cuts=st.lists(st.integers(0, 30), max_size=4))
@settings(deadline=None)
def test_any_slicing_of_the_columns_gives_the_same_answers(loaded: LoadedVersion, cuts: list[int]) -> None:
    columns = lists(table(30).tolist())
    edges = [0, *sorted(cuts), 30]
    parts = [answer(loaded, columns.slice(a, b - a)).scores for a, b in pairwise(edges)]
    assert_close(np.concatenate(parts), answer(loaded, columns).scores)


@given(bad=st.dictionaries(st.integers(0, 11), st.sampled_from([None, [], [1.0] * (WIDTH + 1), [None] * WIDTH])))
@settings(deadline=None)
def test_rows_that_do_not_fit_leave_their_batch_mates_answers_unchanged(
    loaded: LoadedVersion,
    made: MadeVersion,
    bad: dict[int, list[float | None] | None],
) -> None:
    features = table(12)
    prepared = loaded.prepare(lists([bad.get(row, features[row].tolist()) for row in range(12)]))
    assert {reject.row for reject in prepared.rejects} == set(bad)
    assert all(reject.reason in {Reason.NULL_INPUT, Reason.WRONG_LENGTH} for reject in prepared.rejects)
    assert prepared.rows.tolist() == [row for row in range(12) if row not in bad]
    scores = loaded.launch(prepared).result().scores
    assert scores.shape == (len(prepared.rows), 3)
    assert_close(scores, plain(made, features)[prepared.rows] if len(scores) else scores)


@pytest.fixture(scope="module", params=["export", "torchscript", "safetensors"])
def padding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    """The same network as `loaded` in every format, for batches of 2, 5 and 12 only."""
    changes = {"allowed_batch_sizes": [2, 5, 12]}
    root: Path = tmp_path_factory.mktemp("padded")
    return load(write_mlp(root, sizes=(WIDTH, 8, 3), format=request.param, manifest=changes))


@given(rows=st.integers(1, 12))
@settings(deadline=None)
def test_padding_and_the_format_never_change_answers(loaded: LoadedVersion, padding: LoadedVersion, rows: int) -> None:
    columns = lists(table(rows).tolist())
    prepared = padding.prepare(columns)
    assert prepared.padded_rows == next(size for size in (2, 5, 12) if size >= rows)
    scored = padding.launch(prepared).result()
    assert len(scored) == rows
    assert_close(scored.scores, answer(loaded, columns).scores)


def test_a_batch_over_the_maximum_is_refused(padding: LoadedVersion) -> None:
    assert padding.max_batch_size == 12
    with pytest.raises(ValueError, match=r"^a batch has 13 rows, expected at most 12$"):
        padding.prepare(lists(table(13).tolist()))


def test_no_rows_at_all_are_answered_without_a_call(loaded: LoadedVersion) -> None:
    for columns in (lists([]), lists([None, [1.0]])):
        pending = loaded.launch(loaded.prepare(columns))
        assert pending.done()
        assert pending.result().scores.shape == (0, 3)
        assert pending.result().prediction_column().to_pylist() == []


def test_a_device_that_works_later_gives_the_same_answers_in_any_order_of_waiting(
    loaded: LoadedVersion, made: MadeVersion
) -> None:
    device = LaterDevice()
    later = load(made, device=device)
    batches = [lists(table(rows, seed=rows).tolist()) for rows in (3, 1, 7)]
    pending = [later.launch(later.prepare(columns)) for columns in batches]
    assert not any(one.done() for one in pending)
    for one, columns in reversed(list(zip(pending, batches, strict=True))):
        assert_close(one.result().scores, answer(loaded, columns).scores)
        assert one.done()


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "tf32"])
def test_a_lower_precision_answers_nearly_the_same(loaded: LoadedVersion, tmp_path: Path, precision: str) -> None:
    lower = load(write_mlp(tmp_path, sizes=(WIDTH, 8, 3), manifest={"precision": precision}))
    columns = lists(table(20).tolist())
    assert_close(answer(lower, columns).scores, answer(loaded, columns).scores, atol=0.02)


class Halves(nn.Module):
    """Writes to its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(0.5)


def test_columns_are_never_written_to_even_by_a_model_that_writes_to_its_inputs(tmp_path: Path) -> None:
    described = {"inputs": [{"name": "x", "field": "features", "shape": [2]}], "outputs": {"task": "raw"}}
    made = write_module(tmp_path, Halves(), manifest=described, format="torchscript")
    columns = pa.RecordBatch.from_pydict({"features": pa.array([[2.0, 4.0]], pa.list_(pa.float32()))})
    version = load(made)
    assert version.writes_inputs
    assert answer(version, columns).scores.tolist() == [[1.0, 2.0]]
    assert columns.to_pylist() == [{"features": [2.0, 4.0]}]


class Fails(nn.Module):
    """Drops rows once there are more than two, which shows only when the call runs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:2]


def test_a_device_that_works_later_names_the_version_that_failed(tmp_path: Path) -> None:
    described = {"inputs": [{"name": "x", "field": "features", "shape": [2]}], "outputs": {"task": "raw"}}
    made = write_module(tmp_path, Fails(), manifest=described, format="torchscript")
    version = load(made, device=LaterDevice(), batch_size=2)
    pending = version.launch(version.prepare(lists([[1.0, 2.0]] * 3)))
    with pytest.raises(InferenceFailed, match=r"^model default version 1 failed on a batch of 3: it returned shape"):
        pending.result()


def test_the_manifest_may_be_edited_by_hand(weights: MadeVersion) -> None:
    edit(weights, {"max_batch_size": 7, "outputs": {"task": "classification", "activation": "none"}})
    version = load(weights)
    assert version.max_batch_size == 7
    assert version.digest != weights.digest
    assert (version.name, version.version, version.fields, version.labels) == ("default", "1", ("features",), None)
