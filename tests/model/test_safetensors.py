"""Weights are read as the safetensors library reads them, and what is no such file is refused in one sentence."""

import json
from contextlib import suppress
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.errors import Stop
from stream_infer.model.formats.weights import DTYPES, read_weights

SHAPES = st.lists(st.integers(0, 4), max_size=3)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape, dtype = draw(SHAPES), draw(st.sampled_from([*DTYPES.values()]))
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


def packed(header: Any, data: bytes) -> bytes:
    content = json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data


@given(state=st.dictionaries(st.text(min_size=1, max_size=5), tensors(), max_size=4))
@settings(deadline=None)
def test_what_the_library_wrote_is_read_as_the_library_reads_it(state: dict[str, torch.Tensor]) -> None:
    state.pop("__metadata__", None)
    content = safetensors.torch.save(state, metadata={"by": "a test"})
    found, expected = read_weights(content, "w"), safetensors.torch.load(content)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].reshape(-1).view(torch.uint8).tolist() == tensor.reshape(-1).view(torch.uint8).tolist()


WHOLE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"x": 1},
        {"x": {}},
        {"x": {**WHOLE, "dtype": "F31"}},
        {"x": {**WHOLE, "shape": [3]}},
        {"x": {**WHOLE, "shape": [-1, -2]}},
        {"x": {**WHOLE, "shape": [2.0]}},
        {"x": {**WHOLE, "shape": [1 << 62, 1 << 62]}},
        {"x": {**WHOLE, "data_offsets": [8, 0]}},
        {"x": {**WHOLE, "data_offsets": [-8, 0]}},
        {"x": {**WHOLE, "data_offsets": [4, 12]}},
        {"x": {**WHOLE, "data_offsets": [0]}},
        {"x": {**WHOLE, "more": 1}},
    ],
    ids=json.dumps,
)
def test_a_header_that_does_not_describe_the_file_is_refused(header: Any) -> None:
    with pytest.raises(Stop, match=r"^w cannot be loaded as safetensors: "):
        read_weights(packed(header, bytes(8)), "w")
    assert read_weights(packed({"x": WHOLE}, bytes(8)), "w")["x"].tolist() == [0.0, 0.0]


@given(content=st.binary(max_size=64), at=st.integers(0, 63))
def test_no_bytes_do_more_than_be_refused(content: bytes, at: int) -> None:
    good = packed({"x": WHOLE}, bytes(8))
    for bytes_ in (content, good[:at] + content + good[at:]):
        with suppress(Stop):
            read_weights(bytes_, "w")
