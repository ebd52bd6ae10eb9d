"""Columns to tensors: held against the plainest possible reading, a row and a Python value at a time."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.errors import Reason, Stage, Stop
from stream_infer.model.inputs import Inputs, read_inputs
from stream_infer.model.manifest import Input
from tests.model.made import lists

ARRAY = Input(name="x", field="features", shape=(3,))


def read(columns: pa.RecordBatch, *specs: Input) -> Inputs:
    return read_inputs(columns, specs, precision=None)


def column(values: Sequence[Any], kind: pa.DataType, name: str = "a") -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: pa.array(values, kind)})


number = st.floats(allow_nan=False, width=32)
array_rows = st.lists(st.none() | st.lists(st.none() | number, max_size=4) | st.lists(number, min_size=3, max_size=3))
list_types = st.sampled_from([pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float64())])


def expected_reason(row: list[float | None] | None, *, nulls: float | None) -> Reason | None:
    if row is None:
        return Reason.NULL_INPUT if nulls is None else None
    if len(row) != 3:
        return Reason.WRONG_LENGTH
    return Reason.NULL_INPUT if None in row and nulls is None else None


@given(rows=array_rows, kind=list_types, nulls=st.none() | st.just(7.0), data=st.data())
@settings(deadline=None, max_examples=300)
def test_an_array_field_reads_as_its_rows_do_one_by_one_from_any_slice(
    rows: list[list[float | None] | None], kind: pa.DataType, nulls: float | None, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    whole = pa.RecordBatch.from_pydict({"features": pa.array(rows, kind)})
    found = read(whole.slice(start, stop - start), Input(name="x", field="features", shape=(3,), nulls=nulls))

    reasons = [expected_reason(row, nulls=nulls) for row in rows[start:stop]]
    assert found.rows.tolist() == [index for index, reason in enumerate(reasons) if reason is None]
    assert {reject.row: reject.reason for reject in found.rejects} == {i: r for i, r in enumerate(reasons) if r}
    kept = [row or [None] * 3 for row, reason in zip(rows[start:stop], reasons, strict=True) if reason is None]
    filled = [[nulls if value is None else value for value in row] for row in kept]
    assert torch.equal(found.tensors[0], torch.tensor(filled, dtype=torch.float32).reshape(-1, 3))


@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-500, 500), st.none() | number, st.none() | st.booleans())),
    nulls=st.none() | st.just(-1.0),
)
@settings(deadline=None)
def test_scalar_fields_stand_side_by_side(
    rows: list[tuple[int | None, float | None, bool | None]], nulls: float | None
) -> None:
    kinds = {"n": pa.int64(), "f": pa.float32(), "b": pa.bool_()}
    columns = pa.RecordBatch.from_arrays(
        [pa.array([row[index] for row in rows], kind) for index, kind in enumerate(kinds.values())], names=list(kinds)
    )
    found = read(columns, Input(name="x", fields=("n", "f", "b"), nulls=nulls))
    fits = [nulls is not None or None not in row for row in rows]
    assert found.rows.tolist() == np.flatnonzero(fits).tolist()
    assert all(reject.reason is Reason.NULL_INPUT and reject.stage is Stage.INPUT for reject in found.rejects)
    kept = [[nulls if one is None else float(one) for one in row] for row, fit in zip(rows, fits, strict=True) if fit]
    assert torch.equal(found.tensors[0], torch.tensor(kept, dtype=torch.float32).reshape(-1, 3))


@given(values=st.lists(st.integers(-(2**40), 2**40)), dtype=st.sampled_from(["int64", "int32", "uint8"]))
@settings(deadline=None)
def test_a_whole_number_outside_its_type_is_refused_and_never_wrapped(values: list[int], dtype: Any) -> None:
    limits = torch.iinfo(getattr(torch, dtype))
    found = read(column(values, pa.int64()), Input(name="x", field="a", dtype=dtype, shape=()))
    assert found.tensors[0].tolist() == [value for value in values if limits.min <= value <= limits.max]
    assert [reject.row for reject in found.rejects] == [
        i for i, v in enumerate(values) if not limits.min <= v <= limits.max
    ]
    assert all(reject.reason is Reason.WRONG_TYPE for reject in found.rejects)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"])
def test_every_type_arrives_as_itself(dtype: Any) -> None:
    found = read(column([True, False], pa.bool_()), Input(name="x", field="a", dtype=dtype, shape=()))
    assert found.tensors[0].dtype is getattr(torch, dtype)
    assert found.tensors[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (["1"], pa.string(), "float32"),
        ([b"1"], pa.binary(), "uint8"),
        ([1.0], pa.float32(), "int64"),
        ([1], pa.int32(), "bool"),
        ([1], pa.timestamp("us"), "int64"),
        ([[1.0]], pa.list_(pa.float32()), "float32"),
    ],
)
def test_a_column_of_another_kind_refuses_every_row_and_says_what_it_is(
    values: list[Any], kind: pa.DataType, dtype: Any
) -> None:
    found = read(column(values, kind), Input(name="x", field="a", dtype=dtype, shape=()))
    (reject,) = found.rejects
    assert reject.reason is Reason.WRONG_TYPE
    assert reject.message == f"field a is {kind}, expected {dtype}"
    assert not len(found.rows)


@pytest.mark.parametrize("kind", [pa.float32(), pa.string(), pa.list_(pa.string()), pa.list_(pa.list_(pa.float32()))])
def test_an_array_field_of_another_kind_refuses_every_row(kind: pa.DataType) -> None:
    found = read(column([None, None], kind, "features"), ARRAY)
    assert [reject.reason for reject in found.rejects] == [Reason.WRONG_TYPE] * 2
    assert found.rejects[0].message == f"field features is {kind}, expected an array of 3 float32"


def test_refusals_say_what_was_found_and_what_was_expected() -> None:
    found = read(lists([[1, 2], [1, 2, 3], None]), ARRAY)
    assert [reject.message for reject in found.rejects] == [
        "field features has 2 items, expected 3",
        "field features is null or has a null in it, expected numbers: the model's manifest has no `nulls` for it",
    ]


def test_a_row_with_several_faults_is_refused_once() -> None:
    specs = (ARRAY, Input(name="y", field="features", shape=(4,)))
    found = read(lists([[1], [1, 2, 3], None]), *specs)
    assert [reject.row for reject in found.rejects] == [0, 1, 2]


def test_a_column_that_is_all_null_has_no_type_and_follows_the_null_policy() -> None:
    columns = column([None, None], pa.null(), "features")
    assert [reject.reason for reject in read(columns, ARRAY).rejects] == [Reason.NULL_INPUT] * 2
    filled = read(columns, Input(name="x", field="features", shape=(3,), nulls=2.0))
    assert filled.tensors[0].tolist() == [[2.0] * 3] * 2


def test_a_flat_array_takes_the_shape_that_the_manifest_says() -> None:
    found = read(lists([range(6), range(6, 12)]), Input(name="x", field="features", shape=(2, 3)))
    assert torch.equal(found.tensors[0], torch.arange(12.0).reshape(2, 2, 3))


def test_arrays_of_fixed_length_are_arrays() -> None:
    columns = column([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.float32(), 3), "features").slice(1)
    found = read(columns, ARRAY)
    assert found.rows.tolist() == [1]
    assert found.tensors[0].tolist() == [[4, 5, 6]]


def test_dotted_paths_lead_into_structs_and_a_null_struct_is_null() -> None:
    rows = [{"who": {"age": 30}}, {"who": None}, None]
    columns = pa.RecordBatch.from_pydict({"customer": pa.array(rows), "customer.size": pa.array([1, 2, 3])})
    found = read(columns, Input(name="x", fields=("customer.who.age", "customer.size")))
    assert found.tensors[0].tolist() == [[30, 1]]
    assert [reject.row for reject in found.rejects] == [1, 2]


@pytest.mark.parametrize("path", ["missing", "features.x", "missing.x"])
def test_a_field_that_events_do_not_have_stops_and_lists_those_they_have(path: str) -> None:
    with pytest.raises(Stop, match=rf"^the model needs the input field {path}, .* their fields are features$"):
        read(lists([[1.0]]), Input(name="x", field=path, shape=()))


def test_arrow_memory_is_used_in_place_when_nothing_needs_converting() -> None:
    columns = lists([[1, 2, 3], [4, 5, 6], [7, 8, 9]]).slice(1)
    address = columns.column(0).values.buffers()[1].address
    assert read(columns, ARRAY).tensors[0].data_ptr() == address + 3 * 4


def test_a_double_too_large_for_a_float_becomes_infinite_without_a_warning() -> None:
    found = read(column([1e300], pa.float64()), Input(name="x", field="a", shape=()))
    assert math.isinf(found.tensors[0].item())
