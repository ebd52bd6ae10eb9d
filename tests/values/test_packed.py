"""Packed byte strings behave as the list of them does."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.packed import Packed

VALUES = st.lists(st.binary(max_size=20), max_size=20)


@given(before=VALUES, values=VALUES, behind=VALUES)
def test_a_part_of_an_array_is_read_as_the_list_of_its_values(
    before: list[bytes], values: list[bytes], behind: list[bytes]
) -> None:
    whole = pa.array([*before, *values, *behind], pa.binary())
    packed = Packed(whole.slice(len(before), len(values)))
    assert packed == values
    assert len(packed) == len(values)
    assert [packed[row] for row in range(len(values))] == values
    assert packed[1:] == values[1:]
    data = bytes(packed.data)
    assert [data[start:stop] for start, stop in zip(packed.offsets, packed.offsets[1:], strict=False)] == values


@given(values=VALUES, others=VALUES)
def test_it_equals_what_holds_the_same(values: list[bytes], others: list[bytes]) -> None:
    assert (Packed(pa.array(values, pa.binary())) == others) == (values == others)


@pytest.mark.parametrize(
    "array", [pa.array([b"a"], pa.large_binary()), pa.array(["a"]), pa.array([b"a", None], pa.binary())], ids=str
)
def test_an_array_that_is_kept_in_another_way_is_refused(array: pa.Array) -> None:
    with pytest.raises(ValueError, match="expected binary without nulls"):
        Packed(array)
