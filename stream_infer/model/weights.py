"""A version's weights and the call that needs them, as memory that can be given back."""

from collections.abc import Iterator

import torch
from torch import nn

from stream_infer.model.device import Call


class Weights:
    """The tensors of one network, and the call that was made of it. Released, they are empty."""

    def __init__(self, module: nn.Module, call: Call) -> None:
        self._module: nn.Module | None = module
        self._call: Call | None = call

    @property
    def is_released(self) -> bool:
        """Whether the memory was given back."""
        return self._module is None

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors, each counted once."""
        tensors = _tensors(self._module) if self._module is not None else ()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def call(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Call the model. Raises RuntimeError once it is released."""
        call = self._call
        if call is None:
            raise RuntimeError("its weights were released")
        return call(*tensors)

    def release(self) -> None:
        """Empty every tensor and let the call go, with what it keeps: compiled code, captured graphs.

        References to the network that live on, in cycles for instance, then hold nothing.
        """
        module, self._module, self._call = self._module, None, None
        if module is not None:
            with torch.no_grad():
                for tensor in _tensors(module):
                    tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """Yield the tensors that the artifact brought, each once.

    Others, such as a constant of the architecture's code, may be shared with the next version of it.
    """
    seen: set[int] = set()
    for tensor in module.state_dict(keep_vars=True).values():
        if isinstance(tensor, torch.Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor
