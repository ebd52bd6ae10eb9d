"""A device that works later, as a GPU does: it shows what a caller does too early, and in which order work runs."""

from collections import deque
from collections.abc import Callable, Sequence

import torch

from stream_infer.model.device import Call, Flight, Staged


class LaterEvent:
    """A point in the fake device's work."""

    def __init__(self, device: "LaterDevice") -> None:
        self._device = device
        self.passed = False

    def query(self) -> bool:
        """Whether the device has passed it."""
        return self.passed

    def synchronize(self) -> None:
        """Let the device work until it has passed it."""
        while not self.passed:
            self._device.work()


class LaterFlight:
    """A launched call, which runs when the device is made to work."""

    def __init__(self, device: "LaterDevice") -> None:
        self.landed = LaterEvent(device)
        self.output = torch.empty(0)
        self.error: Exception | None = None

    def done(self) -> bool:
        """Whether the device has read the output back."""
        return self.landed.query()

    def result(self) -> torch.Tensor:
        """Let the device work until the output is there; raises what the call raised."""
        self.landed.synchronize()
        if self.error is not None:
            raise self.error
        return self.output


class LaterDevice:
    """Fake of a device with memory and queues of its own: nothing runs before someone waits, or calls `work`.

    Staged tensors hold NaN, or zeros, until the copy has run. `log` lists what ran: `copy 0`, `call 0`, `read 0`, ...
    """

    def __init__(self, *, free_bytes: int = 1 << 30) -> None:
        self.torch_device = torch.device("cpu")
        self.free_bytes = free_bytes
        self.is_lost = False
        self.log: list[str] = []
        self._copies: deque[Callable[[], None]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._staged = 0
        self._launched = 0

    def stage(self, tensors: Sequence[torch.Tensor]) -> Staged:
        """Queue the copies; the tensors may be overwritten at once, as after a copy to pinned memory."""
        number, self._staged = self._staged, self._staged + 1
        pinned = tuple(tensor.clone() for tensor in tensors)
        arriving = tuple(_not_there_yet(tensor) for tensor in tensors)
        copied = LaterEvent(self)

        def copy() -> None:
            with torch.inference_mode():
                for target, source in zip(arriving, pinned, strict=True):
                    target.copy_(source)
            copied.passed = True
            self.log.append(f"copy {number}")

        self._copies.append(copy)
        return Staged(arriving, copied, pinned)

    def launch(self, call: Call, staged: Staged) -> Flight:
        """Queue the call behind the copy."""
        number, self._launched = self._launched, self._launched + 1
        flight = LaterFlight(self)

        def run() -> None:
            if staged.copied is not None:
                staged.copied.synchronize()
            self.log.append(f"call {number}")
            try:
                with torch.inference_mode():
                    flight.output = call(*staged.tensors).clone()
            except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
                flight.error = error
            self.log.append(f"read {number}")
            flight.landed.passed = True

        self._calls.append(run)
        return flight

    def settle(self) -> None:
        """Run everything queued."""
        while self._copies or self._calls:
            self.work()

    def free_memory_bytes(self) -> int:
        """Return what the test says is free."""
        return self.free_bytes

    def used_memory_bytes(self) -> int:
        """Return 0: nothing lies on it."""
        return 0

    def is_usable(self) -> bool:
        """Return what the test says: False from a sticky error on."""
        return not self.is_lost

    def work(self) -> None:
        """Run one queued piece of work: copies first, as a copy stream overtakes the calls."""
        queue = self._copies or self._calls
        queue.popleft()()


def _not_there_yet(tensor: torch.Tensor) -> torch.Tensor:
    return torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else torch.zeros_like(tensor)
