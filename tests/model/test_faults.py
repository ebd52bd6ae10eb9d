"""Whose fault a failed call is: the record's or the model's, the memory's, the device's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stream_infer.model import DeviceLost, InferenceFailed, LoadedVersion, OutOfDeviceMemory, load_version, open_device
from stream_infer.model.faults import RowCap
from stream_infer.model.version import Rowbound
from stream_infer.testing.device import LaterDevice
from stream_infer.testing.models import write_mlp


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    made = write_mlp(tmp_path_factory.mktemp("models"), sizes=[2, 2])
    return load_version(made.path, device=open_device("cpu"), batch_size=8)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_memory_that_is_too_small_is_told_from_other_faults(loaded: LoadedVersion, error: Exception) -> None:
    failure = loaded.failure(error, rows=8)
    assert isinstance(failure, OutOfDeviceMemory)
    assert str(failure).startswith("model default version 1 failed on a batch of 8: ")


@pytest.mark.parametrize("error", [RuntimeError("index out of range in self"), ValueError("out of memory of the past")])
def test_other_errors_are_the_records_or_the_models(loaded: LoadedVersion, error: Exception) -> None:
    failure = loaded.failure(error, rows=8)
    assert isinstance(failure, InferenceFailed)
    assert not isinstance(failure, OutOfDeviceMemory)


def test_a_device_that_fails_whatever_it_is_asked_is_lost_whatever_the_error_says(loaded: LoadedVersion) -> None:
    device = LaterDevice()
    device.is_lost = True
    failure = replace(loaded, device=device).failure(torch.OutOfMemoryError("CUDA out of memory"), rows=8)
    assert isinstance(failure, DeviceLost)
    assert not isinstance(failure, InferenceFailed)


def test_a_batch_that_did_not_fit_halves_the_cap_until_it_does_and_it_never_grows(loaded: LoadedVersion) -> None:
    version = replace(loaded, cap=RowCap())
    assert version.cap_below(100)
    assert version.max_batch_size == 50
    assert not version.cap_below(200)
    assert version.max_batch_size == 50


def test_a_smaller_batch_that_is_padded_to_the_same_size_is_no_smaller(loaded: LoadedVersion) -> None:
    version = replace(loaded, cap=RowCap(), bound=Rowbound(high=64, sizes=(16, 64)))
    assert version.cap_below(64)
    assert version.max_batch_size == 64
    assert not version.cap_below(64)
    assert version.cap_below(32)
    assert version.max_batch_size == 16


def test_a_version_that_memory_does_not_limit_takes_what_its_manifest_says(tmp_path: Path) -> None:
    made = write_mlp(tmp_path, sizes=[2, 2], manifest={"max_batch_size": 32})
    version = load_version(made.path, device=open_device("cpu"), batch_size=64)
    assert version.max_batch_size == 32
    assert version.cap_below(32)
    assert version.max_batch_size == 16
