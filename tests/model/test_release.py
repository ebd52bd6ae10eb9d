"""A version that goes gives its memory back, whoever still holds on to it."""

from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion, load_version
from stream_infer.model.device import CpuDevice
from stream_infer.model.memory import return_memory
from stream_infer.model.version import WARM_CALLS, Facts
from stream_infer.model.weights import Weights
from stream_infer.testing.device import LaterDevice
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.model.made import WIDTH, answer, lists, load

MEBIBYTE = 1 << 20
KNOWN = Facts(width=3, writes_inputs=False, peak_memory_bytes=0)
ROW = lists([[0.0] * WIDTH])


class Cyclic(nn.Module):
    """Is part of a cycle of references, and keeps a tensor that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, 3)
        self.register_buffer("counted", torch.ones(5, dtype=torch.int64))
        self.plain = torch.ones(7)
        self.tied = self.linear.weight
        self.itself = [self]


def resident() -> int:
    return_memory()
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize("format_name", ["export", "torchscript", "safetensors"])
def test_memory_returns_after_every_release_although_the_versions_are_held(tmp_path: Path, format_name: str) -> None:
    made = write_mlp(tmp_path, sizes=(WIDTH, 3000, 3000, 1400, 3), format=format_name)
    held: list[LoadedVersion] = []

    def load_and_release() -> None:
        version = load_version(made.where, device=CpuDevice(), batch_size=1, facts=KNOWN)
        version.warm(1)
        assert version.weight_bytes > 50 * MEBIBYTE
        version.release()
        held.append(version)

    load_and_release()
    before = resident()
    for _ in range(20):
        load_and_release()
    assert resident() - before < 25 * MEBIBYTE


def test_a_version_that_was_released_is_not_called_again(weights: MadeVersion) -> None:
    version = load(weights)
    answer(version, ROW)
    version.release()
    version.release()
    assert version.weight_bytes == 0
    with pytest.raises(Stop, match=r"^model default version 1 was released and is called, expected another one$"):
        answer(version, ROW)


def test_a_call_under_way_when_its_version_is_released_fails_with_a_word(weights: MadeVersion) -> None:
    version = load(weights, device=LaterDevice())
    pending = version.launch(version.prepare(ROW))
    version.release()
    with pytest.raises(Exception, match=r"version 1 failed on a batch of 1: its weights were released"):
        pending.result()


def test_what_an_artifact_brings_is_counted_once_and_emptied() -> None:
    module = Cyclic()
    held = Weights(module, torch.neg)
    assert held.size_bytes == 4 * (3 * WIDTH + 3) + 8 * 5
    held.release()
    assert {tensor.numel() for tensor in module.state_dict().values()} == {0}
    assert (held.size_bytes, held.is_released) == (0, True)


def test_a_constant_that_versions_of_an_architecture_share_outlives_the_release_of_one() -> None:
    shared = torch.arange(3.0)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain = shared
            self.register_buffer("scale", shared, persistent=False)

    one, other = Scaled(), Scaled()
    Weights(one, torch.neg).release()
    assert other.plain.tolist() == [0.0, 1.0, 2.0]
    assert other.get_buffer("scale").numel() == len(shared)


def test_on_a_processor_no_warm_call_is_larger_than_the_live_batch(loaded: LoadedVersion) -> None:
    assert set(loaded.warm_sizes(256, 40)) == {1, 40}
    assert set(loaded.warm_sizes(16, 40)) == {1, 16}
    assert set(loaded.warm_sizes(256, 0)) == {1}
    assert loaded.warm_sizes(256, 40) == (1,) * WARM_CALLS + (40,) * WARM_CALLS
