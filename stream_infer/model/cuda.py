"""NVIDIA devices: pinned host memory, a stream that copies, a stream that computes, and an event to wait on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stream_infer.model.device import Call, Flight, Staged


@dataclass(frozen=True, slots=True)
class _CudaFlight:
    """A call whose output is read back; `held` keeps its inputs alive until then."""

    output: torch.Tensor
    landed: torch.cuda.Event
    held: Staged

    def done(self) -> bool:
        return bool(self.landed.query())  # type: ignore[no-untyped-call]

    def result(self) -> torch.Tensor:
        self.landed.synchronize()
        # Pinned memory is scarce: what travels on is an ordinary copy.
        return self.output.clone()


class CudaDevice:
    """One CUDA device. While a call computes, the next one's inputs are copied.

    Pinned memory comes from torch's caching host allocator, which hands a block out again only after the copies that
    were started from it are over, so no pool is kept here.
    """

    def __init__(self, index: int) -> None:
        self.torch_device = torch.device("cuda", index)
        self._copying = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]
        self._computing = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]

    def stage(self, tensors: Sequence[torch.Tensor]) -> Staged:
        """Copy to pinned memory now, and from there on the copy stream."""
        pinned = tuple(tensor.pin_memory() for tensor in tensors)
        with torch.cuda.stream(self._copying):
            arriving = tuple(tensor.to(self.torch_device, non_blocking=True) for tensor in pinned)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(self._copying)
        return Staged(arriving, copied, pinned)

    def launch(self, call: Call, staged: Staged) -> Flight:
        """Queue the call and the way back on the compute stream, behind the copy."""
        with torch.cuda.stream(self._computing):
            if isinstance(staged.copied, torch.cuda.Event):
                self._computing.wait_event(staged.copied)
            for tensor in staged.tensors:
                tensor.record_stream(self._computing)
            output = call(*staged.tensors)
            host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
            host.copy_(output, non_blocking=True)
            # A blocking event puts the waiting thread to sleep where others would spin.
            landed = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            landed.record(self._computing)
        return _CudaFlight(host, landed, staged)

    def settle(self) -> None:
        """Wait for the whole device."""
        torch.cuda.synchronize(self.torch_device)

    def free_memory_bytes(self) -> int:
        """Return what the driver has free, and what torch holds of it without use."""
        free, _ = torch.cuda.mem_get_info(self.torch_device)
        held = torch.cuda.memory_reserved(self.torch_device) - torch.cuda.memory_allocated(self.torch_device)
        return int(free + held)

    def used_memory_bytes(self) -> int:
        """Return what tensors of this process take."""
        return int(torch.cuda.memory_allocated(self.torch_device))

    def is_usable(self) -> bool:
        """Say False after a sticky error, such as a device-side assert: every call of this process meets it again."""
        try:
            torch.cuda.synchronize(self.torch_device)
        except RuntimeError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class MatmulPrecision:
    """A call with tf32 switched on or off before it: torch keeps that switch per process, a model version its own."""

    call: Call
    tf32: bool

    def __call__(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Set the switch, then call."""
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        torch.backends.cudnn.allow_tf32 = self.tf32
        return self.call(*tensors)


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[torch.Tensor, ...]
    output: torch.Tensor


class GraphedCall:
    """A call captured as one CUDA graph for each batch size, the first time that size is met: when it is warmed.

    The output is overwritten by the next call of the same size; the device reads it back on the same stream before.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._captured: dict[int, _Captured] = {}

    def __call__(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Replay the graph of this batch size."""
        rows = len(tensors[0])
        if rows not in self._captured:
            self._captured[rows] = self._capture(tensors)
        captured = self._captured[rows]
        for target, source in zip(captured.inputs, tensors, strict=True):
            target.copy_(source)
        captured.graph.replay()
        return captured.output

    def _capture(self, tensors: tuple[torch.Tensor, ...]) -> _Captured:
        inputs = tuple(tensor.clone() for tensor in tensors)
        # Libraries allocate and choose kernels in their first calls, which a capture does not allow.
        for _ in range(3):
            self._call(*inputs)
        torch.cuda.current_stream().synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile, to load the next version.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = self._call(*inputs)
        return _Captured(graph, inputs, output)
