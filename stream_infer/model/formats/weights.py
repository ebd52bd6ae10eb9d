"""safetensors weights for a registered architecture: the format that runs no code of the artifact's."""

import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from stream_infer.errors import Stop
from stream_infer.model import architectures
from stream_infer.model.formats.network import Network, Placement, cause
from stream_infer.model.manifest import Architecture, Manifest

MAX_HEADER_BYTES: Final = 16 << 20
_LENGTH_BYTES: Final = 8
DTYPES: Final[Mapping[str, torch.dtype]] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


class SafetensorsFormat:
    """Weights that safetensors wrote, and `architecture` in the manifest."""

    suffixes = (".safetensors",)
    runs_code = False

    def load(self, artifact: bytes, manifest: Manifest, *, placement: Placement) -> Network:
        """Return the architecture with these weights; see `Format.load`."""
        if manifest.architecture is None:
            raise Stop("model.yaml has format safetensors and no architecture, expected its name and args")
        weights = read_weights(artifact, manifest.artifact)
        module = _build_empty(manifest.architecture) or architectures.build(manifest.architecture)
        try:
            module.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise Stop(f"the weights in {manifest.artifact} do not fit {manifest.architecture.name}: {said}") from error
        if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
            # It computes some of its tensors itself, which the file does not have.
            module = architectures.build(manifest.architecture)
            module.load_state_dict(weights, assign=True)
        return Network(module.eval().to(placement.device, placement.dtype))


def _build_empty(architecture: Architecture) -> nn.Module | None:
    """Return the module without memory, which would be filled with random numbers only to be replaced.

    None for one that cannot be built so.
    """
    try:
        with torch.device("meta"):
            return architectures.build(architecture)
    except (Stop, NotImplementedError, RuntimeError):
        return None


def read_weights(artifact: bytes, name: str) -> dict[str, torch.Tensor]:
    """Return copies of the tensors in a file called `name`. Raises Stop when it is no safetensors file.

    Other threads run while it copies, which the library does not let them.
    """
    header_bytes = int.from_bytes(artifact[:_LENGTH_BYTES], "little")
    limit = min(MAX_HEADER_BYTES, len(artifact) - _LENGTH_BYTES)
    if header_bytes > limit:
        raise Stop(f"{name} says that its header has {header_bytes} bytes, expected at most {limit}")
    start = _LENGTH_BYTES + header_bytes
    data = np.frombuffer(artifact, np.uint8)[start:]
    try:
        described = json.loads(artifact[_LENGTH_BYTES:start]).items()
        return {one: _copy(data, **of) for one, of in described if one != "__metadata__"}
    except Exception as error:
        raise Stop(f"{name} cannot be loaded as safetensors: {cause(error)}") from error


def _copy(data: NDArray[np.uint8], *, dtype: str, shape: Sequence[int], data_offsets: Sequence[int]) -> torch.Tensor:
    """Return one tensor; raises KeyError, TypeError or ValueError for a description that is none."""
    start, end = map(operator.index, data_offsets)
    size_bytes = math.prod(map(operator.index, shape)) * DTYPES[dtype].itemsize
    if min(shape, default=0) < 0 or not 0 <= start <= end <= len(data) or end - start != size_bytes:
        raise ValueError(f"{dtype} {shape} at {start} to {end} of {len(data)} bytes, expected {size_bytes} of them")
    tensor = torch.empty(shape, dtype=DTYPES[dtype])
    np.copyto(tensor.reshape(-1).view(torch.uint8).numpy(), data[start:end])
    return tensor
