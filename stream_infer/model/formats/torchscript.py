"""TorchScript modules: deprecated in torch, and what many have."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stream_infer.errors import Stop
from stream_infer.model.formats.network import Network, Placement, cause
from stream_infer.model.formats.unlocked import as_file
from stream_infer.model.manifest import Manifest


class TorchScriptFormat:
    """Modules that `torch.jit.save` wrote."""

    suffixes = (".pt", ".ts")
    runs_code = True

    def load(self, artifact: bytes, manifest: Manifest, *, placement: Placement) -> Network:
        """Return the module; see `Format.load`. Raises Stop for `compile: inductor`, which cannot look into it."""
        if manifest.compile == "inductor":
            raise Stop(
                "model.yaml has compile: inductor with format torchscript, expected format export or safetensors"
            )
        try:
            with deprecation_silenced(), as_file(artifact) as file:
                module = torch.jit.load(file, map_location=placement.device)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise Stop(f"{manifest.artifact} cannot be loaded as TorchScript: {cause(error)}") from error
        module.eval()
        return Network(module if placement.dtype is None else module.to(placement.dtype))


@contextmanager
def deprecation_silenced() -> Iterator[None]:
    """Silence torch's DeprecationWarning about TorchScript, here and nowhere else.

    Whoever runs the worker did not choose the format, and cannot act on a warning a load; the documentation says
    that `torch.export` is what to move to.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", DeprecationWarning)
        yield
