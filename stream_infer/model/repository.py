"""Model repositories: `<repository>/<name>/<version>/model.yaml`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream_infer.errors import Stop
from stream_infer.model.manifest import MANIFEST_NAME


@dataclass(frozen=True, slots=True)
class VersionDirectory:
    """Where one version of a model lies."""

    name: str
    version: str
    path: Path


def find_version(repository: str, name: str, *, version: str | None = None) -> VersionDirectory:
    """Return where a version lies; `version` None stands for the only one that there is.

    Raises Stop when it is not there, or when there are several to choose from; the sentence lists what is there.
    """
    root = open_repository(repository)
    there = [found for found in list_versions(root) if found.name == name]
    if version is None and len(there) == 1:
        return there[0]
    chosen = [found for found in there if found.version == version]
    if chosen:
        return chosen[0]
    if not there:
        raise Stop(f"the model repository {root} has no model {name}, expected {root / name}/<version>/{MANIFEST_NAME}")
    versions = ", ".join(found.version for found in there)
    if version is None:
        raise Stop(f"model {name} has the versions {versions}, expected model.version to name one of them")
    raise Stop(f"model {name} has no version {version}, expected one of those in {root / name}: {versions}")


def list_versions(root: Path) -> tuple[VersionDirectory, ...]:
    """Return every version in a repository, by name and version, where numbers count as numbers.

    Folders whose names start with a dot are not looked at: a version half written is one.
    """
    found = (
        VersionDirectory(path.parent.parent.name, path.parent.name, path.parent)
        for path in root.glob(f"*/*/{MANIFEST_NAME}")
        if path.is_file()
    )
    visible = (one for one in found if not one.name.startswith(".") and not one.version.startswith("."))
    return tuple(sorted(visible, key=lambda one: (one.name, _order(one.version))))


def open_repository(location: str) -> Path:
    """Return the folder that a repository's path or file:// URL names.

    Raises Stop when it is no folder, or when the URL is of a kind that is not read yet.
    """
    root = _local_path(location)
    if not root.is_dir():
        raise Stop(f"the model repository {root} is no folder, expected one with <name>/<version>/{MANIFEST_NAME}")
    return root


def folder_name(what: str, name: str) -> str:
    """Return a model's or version's name that is safe as one folder name; raises Stop for any other."""
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise Stop(f"the {what} is {name!r}, expected a folder name: no slashes and no dot in front")
    return name


def _local_path(location: str) -> Path:
    if "://" not in location:
        return Path(location)
    url = urlsplit(location)
    if url.scheme != "file" or url.netloc not in {"", "localhost"}:
        raise Stop(f"the model repository {location} is on {url.scheme}://, expected a local folder or a file:/// URL")
    return Path(unquote(url.path))


def _order(version: str) -> tuple[int, int, str]:
    return (0, int(version), "") if version.isdecimal() else (1, 0, version)
