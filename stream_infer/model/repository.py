"""Model repositories: `<repository>/<name>/<version>/model.yaml`, in a folder or behind an fsspec URL."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream_infer.errors import Stop
from stream_infer.model.manifest import MANIFEST_NAME
from stream_infer.model.sources.location import parse_location
from stream_infer.model.sources.remote import Remote


@dataclass(frozen=True, slots=True)
class VersionDirectory:
    """Where one version of a model lies on this machine."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True, slots=True)
class VersionPlace:
    """Where a repository has one version of a model: `location` is a path or a URL."""

    name: str
    version: str
    location: str

    @property
    def path(self) -> Path:
        """The version's folder. Raises Stop for one that does not lie on this machine: `fetch_version` brings it."""
        if "://" in self.location:
            raise Stop(f"{self.location} does not lie on this machine, expected it to be fetched first")
        return Path(self.location)


def find_version(repository: str, name: str, *, version: str | None = None) -> VersionPlace:
    """Return where a version lies; `version` None stands for the only one that there is.

    Raises Stop when it is not there, or when there are several to choose from; the sentence lists what is there. Raises
    Retry while a repository elsewhere is away.
    """
    root = open_repository(repository)
    if version is not None and (named := _named(root, name, version)):
        return named
    there = list_versions(root, name)
    if version is None and len(there) == 1:
        return there[0]
    if not there:
        raise Stop(f"the model repository {root} has no model {name}, expected {root}/{name}/<version>/{MANIFEST_NAME}")
    versions = ", ".join(found.version for found in there)
    if version is None:
        raise Stop(f"model {name} has the versions {versions}, expected model.version to name one of them")
    raise Stop(f"model {name} has no version {version}, expected one of those in {root}/{name}: {versions}")


def list_versions(root: Path | Remote, name: str | None = None) -> tuple[VersionPlace, ...]:
    """Return every version in a repository, or of one model, by name and version, where numbers count as numbers.

    Folders whose names start with a dot are not looked at: a version half written is one. Raises Stop or Retry for a
    repository elsewhere that cannot be read.
    """
    found = _on_disk(root, name) if isinstance(root, Path) else _elsewhere(root, name)
    return tuple(sorted(found, key=lambda one: (one.name, _order(one.version))))


def open_repository(location: str) -> Path | Remote:
    """Return the folder that a repository's path or URL names.

    Raises Stop when a local one is no folder, or when the URL cannot be read by this installation.
    """
    root = _local_path(location)
    if root is None:
        return Remote(parse_location(location))
    if not root.is_dir():
        raise Stop(f"the model repository {root} is no folder, expected one with <name>/<version>/{MANIFEST_NAME}")
    return root


def folder_name(what: str, name: str) -> str:
    """Return a model's or version's name that is safe as one folder name; raises Stop for any other."""
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise Stop(f"the {what} is {name!r}, expected a folder name: no slashes and no dot in front")
    return name


def _local_path(location: str) -> Path | None:
    """Return the folder of a path or file:// URL; None for any other URL."""
    if "://" not in location:
        return Path(location)
    url = urlsplit(location)
    return Path(unquote(url.path)) if url.scheme == "file" and url.netloc in {"", "localhost"} else None


def _named(root: Path | Remote, name: str, version: str) -> VersionPlace | None:
    """Return a version that is there, without a listing, which not every server gives."""
    steps = (folder_name("model's name", name), folder_name("version", version))
    if isinstance(root, Path):
        folder = root.joinpath(*steps)
        return VersionPlace(name, version, str(folder)) if (folder / MANIFEST_NAME).is_file() else None
    is_there = root.has("/".join((*steps, MANIFEST_NAME)))
    return VersionPlace(name, version, str(root.location.below(*steps))) if is_there else None


def _on_disk(root: Path, name: str | None) -> list[VersionPlace]:
    found = (path.parent for path in root.glob(f"*/*/{MANIFEST_NAME}") if path.is_file())
    return [
        VersionPlace(folder.parent.name, folder.name, str(folder))
        for folder in found
        if name in {None, folder.parent.name} and not any(step.startswith(".") for step in folder.parts[-2:])
    ]


def _elsewhere(root: Remote, name: str | None) -> list[VersionPlace]:
    models = _folders(root) if name is None else [folder_name("model's name", name)]
    return [
        VersionPlace(model, version, str(root.location.below(model, version)))
        for model in models
        for version in _folders(root, model)
        if any(file.name == MANIFEST_NAME for file in root.entries(model, version))
    ]


def _folders(root: Remote, *names: str) -> list[str]:
    return [one.name for one in root.entries(*names) if one.is_folder and not one.name.startswith(".")]


def _order(version: str) -> tuple[int, int, str]:
    return (0, int(version), "") if version.isdecimal() else (1, 0, version)
