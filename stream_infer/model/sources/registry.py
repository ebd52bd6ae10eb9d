"""Versions that are registered with MLflow: `models:/<name>/<number>`, and aliases, which are looked up once.

The server is the one that MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI name, with MLflow's own credentials.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from stream_infer.errors import Stop
from stream_infer.model.manifest import MANIFEST_NAME
from stream_infer.model.sources.copy import CHUNK_BYTES
from stream_infer.model.sources.faults import NotThere, reading
from stream_infer.model.sources.location import MLFLOW, Location

HOW_TO_LOG: Final = (
    'log a version\'s folder with mlflow.log_artifacts(folder, "model") and register that with create_model_version'
)
_QUIET: Final = {
    # MLflow asks a server that is away for four minutes; whoever fetches tries again, and can be stopped in between.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # A worker reports to nobody.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def pinned(location: Location) -> Location:
    """Return a registered version's location with the number that its alias stands for now; numbers stay.

    Raises Stop when it names neither, or no such alias; Retry while the server is away.
    """
    named = _named(location)
    if named.number is not None:
        return location
    with reading(str(location), scheme=MLFLOW):
        version = _client().get_model_version_by_alias(named.model, named.alias)
    return Location(MLFLOW, "", (named.model, str(version.version)))


class Registered:
    """The folder of a registered version; files pass through `scratch`, whole, as MLflow's client hands them over.

    Raises Stop for an alias, which may move, and for a version without a `model.yaml`; Retry while the server is away.
    """

    def __init__(self, location: Location, scratch: Path) -> None:
        named = _named(location)
        if named.number is None:
            raise Stop(
                f"{location} names the alias {named.alias}, which may move, expected the number that it stands for: "
                f"models:/{named.model}/<number>"
            )
        self._location = location
        self._scratch = scratch
        with reading(str(location), scheme=MLFLOW):
            self._artifacts = _artifacts(_client().get_model_version_download_uri(named.model, named.number))
            self._folder = self._find_folder()

    def __str__(self) -> str:
        return str(self._location)

    def chunks(self, name: str, *, at_most: int) -> Iterator[bytes]:
        """Yield the bytes of a file; raises as the constructor does, and for a file that is listed as larger."""
        label = f"{self._location}/{name}"
        with reading(label, scheme=MLFLOW):
            wanted = str(self._folder / name)
            listed = self._files(str(PurePosixPath(wanted).parent))
            if wanted not in listed:
                raise NotThere(f"{label} is not there")
            if (listed[wanted] or 0) > at_most:
                raise Stop(f"{label} has {listed[wanted]} bytes, expected at most {at_most}")
            copied = Path(self._artifacts.download_artifacts(wanted, str(self._scratch)))
            with copied.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
            copied.unlink()

    def _find_folder(self) -> PurePosixPath:
        """Return the folder with the manifest: the artifact's own, or the only one inside it that has one."""
        top = self._artifacts.list_artifacts(None)
        if any(one.path == MANIFEST_NAME for one in top):
            return PurePosixPath()
        folders = [one.path for one in top if one.is_dir]
        found = [folder for folder in folders if f"{folder}/{MANIFEST_NAME}" in self._files(folder)]
        if len(found) != 1:
            has = f"{MANIFEST_NAME} in {', '.join(found)}" if found else f"no {MANIFEST_NAME}"
            raise Stop(f"{self._location} holds {has}, expected one, at most one folder deep: {HOW_TO_LOG}")
        return PurePosixPath(found[0])

    def _files(self, folder: str) -> Mapping[str, int | None]:
        """Return the files of a folder by path, with their sizes where the server tells them."""
        listed = self._artifacts.list_artifacts(None if folder == "." else folder)
        return {one.path: one.file_size for one in listed if not one.is_dir}


@dataclass(frozen=True, slots=True)
class _Named:
    """What a URI names: a registered model with a version's number, or with an alias."""

    model: str
    number: str | None = None
    alias: str | None = None


def _named(location: Location) -> _Named:
    match location.steps:
        case (model, number) if number.isdecimal():
            return _Named(model, number=number)
        case (both,) if all(both.rpartition("@")):
            model, _, alias = both.rpartition("@")
            return _Named(model, alias=alias)
    raise Stop(f"{location} names no registered version, expected models:/<name>/<number> or models:/<name>@<alias>")


def _client() -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415 - an extra, and slow to import

    return mlflow.MlflowClient()


def _artifacts(uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415 - as above

    return get_artifact_repository(uri)
