"""safetensors weights for a registered architecture: the format that runs no code of the artifact's."""

from typing import Final

import safetensors.torch
import torch

from stream_infer.errors import Stop
from stream_infer.model import architectures
from stream_infer.model.formats.network import Network, Placement, cause
from stream_infer.model.manifest import Manifest

MAX_HEADER_BYTES: Final = 16 << 20
_LENGTH_BYTES: Final = 8


class SafetensorsFormat:
    """Weights that safetensors wrote, and `architecture` in the manifest."""

    suffixes = (".safetensors",)
    runs_code = False

    def load(self, artifact: bytes, manifest: Manifest, *, placement: Placement) -> Network:
        """Return the architecture with these weights; see `Format.load`."""
        if manifest.architecture is None:
            raise Stop("model.yaml has format safetensors and no architecture, expected its name and args")
        weights = _read(artifact, manifest.artifact)
        module = architectures.build(manifest.architecture)
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise Stop(f"the weights in {manifest.artifact} do not fit {manifest.architecture.name}: {said}") from error
        return Network(module.eval().to(placement.device, placement.dtype))


def _read(artifact: bytes, name: str) -> dict[str, torch.Tensor]:
    header_bytes = int.from_bytes(artifact[:_LENGTH_BYTES], "little")
    limit = min(MAX_HEADER_BYTES, len(artifact) - _LENGTH_BYTES)
    if header_bytes > limit:
        raise Stop(f"{name} says that its header has {header_bytes} bytes, expected at most {limit}")
    try:
        return safetensors.torch.load(artifact)
    except Exception as error:
        raise Stop(f"{name} cannot be loaded as safetensors: {cause(error)}") from error
