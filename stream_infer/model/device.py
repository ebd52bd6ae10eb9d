"""Devices: where the model runs. A call is staged, launched and waited for; on a CPU it is done at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from stream_infer.errors import Stop

Call = Callable[..., torch.Tensor]


class Event(Protocol):
    """A point in a device's work."""

    def query(self) -> bool:
        """Whether the device has passed it; does not wait."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has passed it."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """Inputs on their way to the device.

    `copied` is the event after which `tensors` hold them, None when they do already; `held` keeps host memory alive.
    """

    tensors: tuple[torch.Tensor, ...]
    copied: Event | None = None
    held: tuple[torch.Tensor, ...] = ()


class Flight(Protocol):
    """A launched call."""

    def done(self) -> bool:
        """Whether the result can be had without waiting."""
        ...

    def result(self) -> torch.Tensor:
        """Wait for the call and return its output in host memory; raises what the call raised."""
        ...


class Device(Protocol):
    """What runs a model; used by one thread at a time."""

    @property
    def torch_device(self) -> torch.device:
        """Where tensors and weights lie."""
        ...

    def stage(self, tensors: Sequence[torch.Tensor]) -> Staged:
        """Start to bring tensors from host memory to the device.

        On a device with memory of its own the caller may overwrite them when this returns; a CPU uses them in place.
        """
        ...

    def launch(self, call: Call, staged: Staged) -> Flight:
        """Start a call on staged tensors, to begin when they have arrived; the output is read back to host memory."""
        ...

    def settle(self) -> None:
        """Wait for all work given to the device so far, such as the copying of weights."""
        ...

    def free_memory_bytes(self) -> int | None:
        """Return how much of the device's own memory is free; None where it has none of its own."""
        ...

    def used_memory_bytes(self) -> int | None:
        """Return how much of the device's own memory this process's tensors take; None where it has none of its own."""
        ...

    def is_usable(self) -> bool:
        """Whether the device still does what it is asked, after a call failed; waits for all work given to it."""
        ...


@dataclass(frozen=True, slots=True)
class Landed:
    """A call that is over."""

    output: torch.Tensor

    def done(self) -> bool:
        """Return True."""
        return True

    def result(self) -> torch.Tensor:
        """Return the output."""
        return self.output


class CpuDevice:
    """The processor: tensors stay where they are, and a launch returns when the call is over."""

    torch_device: Final = torch.device("cpu")

    def stage(self, tensors: Sequence[torch.Tensor]) -> Staged:
        """Return the tensors as they are."""
        return Staged(tuple(tensors))

    def launch(self, call: Call, staged: Staged) -> Flight:
        """Call at once. The output is the caller's own: a model may answer in memory that its next call writes to."""
        return Landed(call(*staged.tensors).clone())

    def settle(self) -> None:
        """Return at once: nothing is ever under way."""

    def free_memory_bytes(self) -> int | None:
        """Return None: host memory is not the device's own."""
        return None

    def used_memory_bytes(self) -> int | None:
        """Return None, as `free_memory_bytes` does."""
        return None

    def is_usable(self) -> bool:
        """Return True: an error of a call leaves a processor as it was."""
        return True


def limit_threads(*, cores: int, chosen: str | None) -> int:
    """Set how many threads torch uses for one operation, for the whole process, and return it.

    Half of the cores, because the consumer thread and librdkafka need the others: threads that wait for a busy core
    made a call of 0.1 ms take 4 on two cores. `chosen` is the value of OMP_NUM_THREADS, which wins.
    """
    if chosen is None:
        torch.set_num_threads(max(1, cores // 2))
    return torch.get_num_threads()


def open_device(name: str) -> Device:
    """Return the device that `model.device` names: auto, cpu, cuda or cuda:N; auto is cuda where there is one.

    Raises Stop when there is no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return CpuDevice()
    index = name.removeprefix("auto").removeprefix("cuda").removeprefix(":") or "0"
    if not index.isdecimal():
        raise Stop(f"model.device is {name}, expected auto, cpu, cuda or cuda:N")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index) >= found:
        raise Stop(f"model.device is {name} and torch finds {found} CUDA devices, expected that device, or cpu or auto")
    # Imported here so that a machine without CUDA never touches it.
    from stream_infer.model.cuda import CudaDevice  # noqa: PLC0415

    return CudaDevice(int(index))
