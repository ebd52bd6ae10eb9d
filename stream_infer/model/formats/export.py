"""`torch.export` programs (.pt2)."""

import logging
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.export.passes import move_to_device_pass

from stream_infer.errors import Stop
from stream_infer.model.formats.network import Network, Placement, cause
from stream_infer.model.formats.unlocked import UnlockedReader
from stream_infer.model.manifest import Manifest

# Torch writes a batch of 2 or more where it means "not specialised to 1", and larger ends where it means "no end".
_UNSPECIALISED: Final = 2
_NO_END: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class _Range:
    low: int
    high: int | None


class ExportFormat:
    """Programs that `torch.export.save` wrote, with a dynamic batch dimension or one size a batch is padded to."""

    suffixes = (".pt2",)
    runs_code = True  # torch.export.load falls back to unrestricted unpickling

    def load(self, artifact: bytes, manifest: Manifest, *, placement: Placement) -> Network:
        """Return the program as a module; see `Format.load`."""
        program = _read(artifact, manifest.artifact)
        rows = _batch_range(program, manifest)
        if placement.device.type != "cpu":
            program = move_to_device_pass(program, placement.device)
        module = _module(program)
        if placement.dtype is not None:
            module = module.to(placement.dtype)
        return Network(module, min_rows=rows.low, max_rows=rows.high)


def _module(program: torch.export.ExportedProgram) -> torch.fx.GraphModule:
    """Return the program as a module that checks the shapes of its inputs, and their number only where it must.

    Beside its guards torch looks in each call whether the arguments are nested as they were, which took 30 us of 100.
    """
    module = program.module()
    if hasattr(module, "_guards_fn"):
        module.validate_inputs = False  # type: ignore[assignment] # to torch's stubs every attribute is a tensor
    return module


def _read(artifact: bytes, name: str) -> torch.export.ExportedProgram:
    try:
        with _quiet():
            # It reads and seeks, which is all of a file that is asked for.
            return torch.export.load(UnlockedReader(artifact))  # type: ignore[arg-type]
    except Exception as error:
        raise Stop(f"{name} cannot be loaded as a torch.export program: {cause(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from logging a traceback for what becomes one sentence."""
    logger = logging.getLogger("torch.export")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _batch_range(program: torch.export.ExportedProgram, manifest: Manifest) -> _Range:
    """Return how many rows every input takes. Raises Stop when no batch would fit."""
    ranges = [
        _first_dimension(program, name, artifact=manifest.artifact) for name in program.graph_signature.user_inputs
    ]
    low = max((one.low for one in ranges), default=1)
    high = min((one.high for one in ranges if one.high is not None), default=None)
    if low == high and manifest.allowed_batch_sizes != (low,):
        raise Stop(
            f"{manifest.artifact} was exported with a fixed batch of {low}, expected a dynamic one (dynamic_shapes with"
            f' torch.export.Dim("batch", min=1, max=...)) or allowed_batch_sizes: [{low}] in model.yaml'
        )
    return _Range(low, high)


def _first_dimension(program: torch.export.ExportedProgram, name: object, *, artifact: str) -> _Range:
    node = next(node for node in program.graph.nodes if node.name == name)
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or not value.dim():
        raise Stop(f"{artifact} takes the input {name} without a batch dimension, expected tensors that have one")
    size: Any = value.shape[0]  # a symbol where it is dynamic, whatever the stubs say
    if isinstance(size, int):
        return _Range(size, size)
    found = program.range_constraints.get(size.node.expr)
    if found is None:
        return _Range(1, None)
    low, high = _bound(found.lower), _bound(found.upper)
    return _Range(1 if low <= _UNSPECIALISED else low, None if high >= _NO_END else high)


def _bound(value: object) -> int:
    """Return a symbolic bound as a number; infinity becomes a very large one."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return _NO_END
