"""Load: a version's folder to a `LoadedVersion` that was tried at the sizes it will meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from stream_infer.errors import Stop
from stream_infer.model import golden
from stream_infer.model.device import Call, Device
from stream_infer.model.faults import InferenceFailed
from stream_infer.model.files import read_verified
from stream_infer.model.formats import Network, find_format
from stream_infer.model.formats.network import Placement
from stream_infer.model.inputs import example_inputs
from stream_infer.model.manifest import MANIFEST_NAME, Manifest, digest_of, parse_manifest, read_manifest_bytes
from stream_infer.model.outputs import Activated, check_width
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.version import WARM_CALLS, Facts, LoadedVersion, Rowbound
from stream_infer.model.weights import Weights

Report = Callable[[str], None]

_NARROW: Final[Mapping[str, torch.dtype]] = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def load_version(
    where: VersionDirectory | Path,
    *,
    device: Device,
    batch_size: int,
    allow_code_formats: bool = True,
    report: Report | None = None,
    facts: Facts | None = None,
) -> LoadedVersion:
    """Return a version, loaded and tried at one row and at `batch_size`, or at the largest batch it takes below that.

    A plain path is `.../<name>/<version>`. Every listed file is checked before any is used. `report` is told of each
    check that passed, one sentence each. With `facts`, which an earlier try found out, the model is not called, unless
    it must be compiled. Raises Stop with one sentence that names what is wrong.
    """
    found = where if isinstance(where, VersionDirectory) else _named(where)
    say = report or _say_nothing
    content = read_manifest_bytes(found.path)
    manifest = parse_manifest(content, source=str(found.path / MANIFEST_NAME))
    files = _read_files(found.path, manifest)
    say(f"files: {len(files)} with the size and sha256 that model.yaml says; its digest is {digest_of(content)}")
    network = _load_network(files[manifest.artifact], manifest, device=device, allow_code=allow_code_formats)
    say(f"load: {manifest.artifact} as {manifest.format} on {device.torch_device}")
    version = _assemble(found, network, manifest=manifest, digest=digest_of(content), device=device)
    if facts is not None:
        return _as_known(version, facts, batch_size=batch_size)
    version = _try(version, batch_size, say)
    if manifest.golden is not None:
        say(golden.check(version, files[manifest.golden], batch_size=batch_size))
    return version


def _assemble(
    found: VersionDirectory, network: Network, *, manifest: Manifest, digest: str, device: Device
) -> LoadedVersion:
    weights = Weights(network.call, _make_call(network, manifest, device=device))
    return LoadedVersion(
        name=found.name,
        version=found.version,
        digest=digest,
        manifest=manifest,
        device=device,
        call=weights.call,
        bound=_bound(network, manifest),
        weights=weights,
        precision=_NARROW.get(manifest.precision),
    )


def _named(path: Path) -> VersionDirectory:
    full = path.resolve()
    return VersionDirectory(full.parent.name, full.name, path)


def _say_nothing(_sentence: str) -> None:
    """Be told of a check, and keep it."""


def _read_files(directory: Path, manifest: Manifest) -> dict[str, bytes]:
    if manifest.handler is not None:
        raise Stop(
            f"model.yaml in {directory} names the handler {manifest.handler}, expected none: they are not run yet"
        )
    return {name: read_verified(directory, name, entry=entry) for name, entry in manifest.files.items()}


def _load_network(artifact: bytes, manifest: Manifest, *, device: Device, allow_code: bool) -> Network:
    found = find_format(manifest.format, allow_code=allow_code)
    placement = Placement(device.torch_device, _NARROW.get(manifest.precision))
    network = found.load(artifact, manifest, placement=placement)
    device.settle()
    return network


def _bound(network: Network, manifest: Manifest) -> Rowbound:
    sizes = manifest.allowed_batch_sizes or ()
    limits = [limit for limit in (network.max_rows, manifest.max_batch_size, *sizes[-1:]) if limit is not None]
    high = min(limits, default=None)
    if network.max_rows is not None and sizes and sizes[-1] > network.max_rows:
        raise Stop(
            f"model.yaml allows batches of {sizes[-1]} and {manifest.artifact} takes at most {network.max_rows} rows"
        )
    if high is not None and high < network.min_rows and high not in sizes:
        raise Stop(
            f"model.yaml allows at most {high} rows and {manifest.artifact} takes no fewer than {network.min_rows}"
        )
    return Rowbound(low=network.min_rows, high=high, sizes=sizes)


def _make_call(network: Network, manifest: Manifest, *, device: Device) -> Call:
    """Return the model with its activation, compiled as the manifest says. Raises Stop where that cannot be."""
    on_cuda = device.torch_device.type == "cuda"
    call: Call = network.call
    if manifest.compile == "inductor":
        # Fixed sizes are compiled one by one, others once for all.
        call = torch.compile(call, dynamic=manifest.allowed_batch_sizes is None)
    call = Activated(call, manifest.outputs.activation)
    if manifest.compile == "cuda_graphs" and not (on_cuda and manifest.allowed_batch_sizes):
        where = device.torch_device.type
        raise Stop(f"model.yaml has compile: cuda_graphs on {where}, expected a CUDA device and allowed_batch_sizes")
    if not on_cuda:
        return call
    from stream_infer.model import cuda  # noqa: PLC0415 - a machine without CUDA never touches it

    if manifest.compile == "cuda_graphs":
        call = cuda.GraphedCall(call)
    return cuda.MatmulPrecision(call, tf32=manifest.precision == "tf32")


def _sizes(version: LoadedVersion, batch_size: int) -> list[int]:
    largest = min(batch_size, version.max_batch_size or batch_size)
    return sorted({1, largest, *(size for size in version.allowed_batch_sizes if size <= largest)})


def _as_known(version: LoadedVersion, facts: Facts, *, batch_size: int) -> LoadedVersion:
    if version.manifest.compile == "inductor":
        _compile(version, _sizes(version, batch_size))
    return replace(version, width=facts.width, writes_inputs=facts.writes_inputs)


def _compile(version: LoadedVersion, sizes: Sequence[int]) -> None:
    """Have the compiler look at every size here and now, so that no live batch waits while it does."""
    specs, on = version.manifest.inputs, version.device.torch_device
    try:
        with torch.inference_mode():
            for rows in sizes:
                tensors = example_inputs(specs, version.bound.padded(rows), precision=version.precision)
                # Not with the device's own streams: they belong to the thread that launches.
                version.call(*(tensor.to(on) for tensor in tensors))
        version.device.settle()
    except Exception as error:  # whatever the model's code or the compiler raises
        raise Stop(str(version.failure(error, rows=max(sizes)))) from error


def _try(version: LoadedVersion, batch_size: int, say: Report) -> LoadedVersion:
    """Call the model at the sizes it will meet; return the version with what that showed."""
    sizes = _sizes(version, batch_size)
    width = 0
    writes = False
    for rows in sizes:
        width, wrote = _try_size(version, rows)
        writes = writes or wrote
    check_width(version.manifest.outputs, width)
    padded = sorted({version.bound.padded(rows) for rows in sizes})
    say(f"run: batches of {', '.join(map(str, padded))} give {width} numbers a row")
    return replace(version, width=width, writes_inputs=writes)


def _try_size(version: LoadedVersion, rows: int) -> tuple[int, bool]:
    """Return how many numbers a row the model gives, and whether it wrote to its inputs."""
    tensors = example_inputs(version.manifest.inputs, version.bound.padded(rows), precision=version.precision)
    try:
        for _ in range(WARM_CALLS):
            version.warm(rows)
        with torch.inference_mode():
            output = version.device.launch(version.call, version.device.stage(tensors)).result()
    except InferenceFailed as error:
        shapes = ", ".join(f"{one.dtype} {[len(tensors[0]), *one.row_shape]}" for one in version.manifest.inputs)
        raise Stop(f"{error}; model.yaml gives it {shapes}") from error
    # Torch counts the writes to a tensor: more reliable than to compare its values.
    return output.shape[1], any(tensor._version for tensor in tensors)  # noqa: SLF001
