"""Package: an artifact and its manifest to a version in a repository, whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from stream_infer.errors import Stop
from stream_infer.model.files import inside, read_file
from stream_infer.model.formats import format_of_suffix
from stream_infer.model.golden import read_samples
from stream_infer.model.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, load_mapping, parse_manifest
from stream_infer.model.repository import VersionDirectory, folder_name

_MODE: Final = 0o755


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes into a version's folder: file contents by name, and the manifest without what the files say."""

    artifact: str
    files: Mapping[str, bytes]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    golden: str | None = None

    def manifest_bytes(self) -> bytes:
        """Return the `model.yaml` that lists the files as they are. Raises Stop when a part is missing or wrong."""
        named = {"artifact": self.artifact, **({"golden": self.golden} if self.golden else {})}
        entries = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
            for name, content in self.files.items()
        }
        whole = {**self.manifest, **named, "files": entries}
        whole.setdefault("format", format_of_suffix(Path(self.artifact).suffix))
        content = yaml.safe_dump(whole, sort_keys=False).encode()
        parse_manifest(content, source="the manifest")
        return content


def collect_parcel(
    artifact: Path, *, manifest: Path | None, described: Mapping[str, Any], golden: Path | None
) -> Parcel:
    """Read what a version is made of.

    `manifest` is a `model.yaml` to start from, `described` are keys of it given otherwise; further files that it lists
    are taken from its folder. Raises Stop when a file cannot be read, or the inputs or outputs are said nowhere.
    """
    given = {**(_read_mapping(manifest) if manifest else {}), **described}
    if not {"inputs", "outputs"} <= given.keys():
        raise Stop(
            f"nothing says what {artifact.name} takes and returns, expected --manifest with inputs and outputs, "
            "or --field, --shape and --task"
        )
    files = {artifact.name: read_file(artifact), **(dict(_others(manifest, given)) if manifest else {})}
    if golden is not None:
        files[golden.name] = read_file(golden)
        read_samples(files[golden.name], name=str(golden))
    return Parcel(artifact.name, files, given, golden.name if golden else None)


def describe(*, field: str | None, shape: Sequence[int] | None, dtype: str = "float32") -> dict[str, Any]:
    """Return the `inputs` of a manifest for a model that takes one array field; nothing when no field is named.

    Raises Stop when only one of `field` and `shape` is given.
    """
    if field is None and shape is None:
        return {}
    if field is None or shape is None:
        raise Stop(f"--{'shape' if field is None else 'field'} is given alone, expected --field and --shape together")
    return {"inputs": [{"name": "x", "field": field, "dtype": dtype, "shape": list(shape)}]}


def write_version(parcel: Parcel, repository: Path, *, name: str, version: str) -> VersionDirectory:
    """Write a version's folder and return where it lies.

    It appears by one rename when all its files are on disk. Raises Stop when the version is there already, or its
    manifest is not right.
    """
    model = repository / folder_name("model's name", name)
    target = model / folder_name("version", version)
    if target.exists():
        raise Stop(f"{target} is there already, expected a new version: a version never changes")
    contents = {**parcel.files, MANIFEST_NAME: parcel.manifest_bytes()}
    model.mkdir(parents=True, exist_ok=True)
    # A dot in front: whoever lists the repository does not see it.
    partial = Path(tempfile.mkdtemp(prefix=f".{version}.", dir=model))
    try:
        for file_name, content in contents.items():
            _write(inside(partial, file_name), content)
        partial.chmod(_MODE)
        partial.rename(target)
    except OSError as error:
        raise Stop(f"{target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return VersionDirectory(name, version, target)


def _read_mapping(path: Path) -> dict[str, Any]:
    content = read_file(path)
    if len(content) > MAX_MANIFEST_BYTES:
        raise Stop(f"{path} has {len(content)} bytes, expected at most {MAX_MANIFEST_BYTES}")
    return load_mapping(content, source=str(path))


def _others(manifest: Path, given: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a manifest lists beside its artifact."""
    listed = given.get("files") or {}
    names = {str(name) for name in listed} if isinstance(listed, Mapping) else set()
    wanted = names | ({str(given["golden"])} if given.get("golden") else set())
    for name in sorted(wanted - {str(given.get("artifact"))}):
        yield name, read_file(inside(manifest.parent, name))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
