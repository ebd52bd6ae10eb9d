"""What every format yields: a network, and the batches it takes."""

from dataclasses import dataclass
from typing import Protocol

import torch

from stream_infer.model.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded model, on its device and in its precision.

    `call` takes the inputs' tensors, each (rows, *shape). `min_rows` and `max_rows` bound the rows of one call, None
    where nothing does; equal ones are a fixed batch size.
    """

    call: torch.nn.Module
    min_rows: int = 1
    max_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network's weights go, and to which floating type; `dtype` None leaves them as they are."""

    device: torch.device
    dtype: torch.dtype | None = None


class Format(Protocol):
    """One kind of artifact."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How its files end, dot included."""
        ...

    @property
    def runs_code(self) -> bool:
        """Whether loading runs code that the artifact brings."""
        ...

    def load(self, artifact: bytes, manifest: Manifest, *, placement: Placement) -> Network:
        """Return the network in these bytes, ready for inference.

        Raises Stop, with one sentence that names the artifact, when they are no such thing.
        """
        ...


def cause(error: BaseException) -> str:
    """Return the first line of what an error says, without its full stop: torch's texts run on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].removesuffix(".") if lines else type(error).__name__
