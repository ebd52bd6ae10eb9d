"""Architectures that ship: what safetensors weights are loaded into."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from itertools import pairwise
from typing import Any, Final

from torch import nn

from stream_infer.errors import Stop
from stream_infer.model.manifest import Architecture

GROUP: Final = "stream_infer.architectures"
_ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def mlp(*, sizes: Sequence[int], activation: str = "relu") -> nn.Module:
    """Return linear layers of these widths, from input to output, with an activation between them.

    It is an `nn.Sequential`, so the weights are named `0.weight`, `0.bias`, `2.weight`, ... Raises ValueError for fewer
    than two sizes or an unknown activation: relu, gelu, silu, tanh.
    """
    if len(sizes) < 2 or activation not in _ACTIVATIONS:  # noqa: PLR2004 - an input and an output
        known = ", ".join(_ACTIVATIONS)
        raise ValueError(
            f"mlp got sizes {list(sizes)} and activation {activation}, expected two sizes or more and {known}"
        )
    return nn.Sequential(*_layers(sizes, _ACTIVATIONS[activation]))


def _layers(sizes: Sequence[int], activation: type[nn.Module]) -> Iterator[nn.Module]:
    last = len(sizes) - 2
    for index, (width_in, width_out) in enumerate(pairwise(sizes)):
        yield nn.Linear(width_in, width_out)
        if index < last:
            yield activation()


# Found without entry points, so that a checkout that is not installed has them too.
_SHIPPED: Final[Mapping[str, Callable[..., nn.Module]]] = {"mlp": mlp}


def build(architecture: Architecture) -> nn.Module:
    """Return a new, untrained module. Raises Stop for a name that is not registered or arguments it refuses."""
    make = _find(architecture.name)
    try:
        module = make(**architecture.args)
    except Exception as error:
        raise Stop(f"the architecture {architecture.name} refused its args {architecture.args}: {error}") from error
    if not isinstance(module, nn.Module):
        raise Stop(f"the architecture {architecture.name} made a {type(module).__name__}, expected a torch.nn.Module")
    return module


def _find(name: str) -> Callable[..., Any]:
    if name in _SHIPPED:
        return _SHIPPED[name]
    registered = entry_points(group=GROUP)
    if name not in registered.names:
        known = ", ".join(sorted({*_SHIPPED, *registered.names}))
        raise Stop(f"the architecture {name} is not registered under {GROUP}, expected one of {known}")
    try:
        found: Callable[..., Any] = registered[name].load()
    except Exception as error:
        raise Stop(f"the architecture {name} cannot be imported: {error}") from error
    return found
