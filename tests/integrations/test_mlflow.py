import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_infer.errors import Retry, Stop
from stream_infer.model.fetch import Origin, fetch_version, pin_version, resolve
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.integrations.servers import started
from tests.model.made import WIDTH, load

# What other people's packages warn about is theirs to mend.
pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"))
    listens = ("--host", "127.0.0.1", "--port", "0", "--workers", "1")
    with started("mlflow", ("server", *stores, *listens), folder=folder) as url:
        yield url


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import mlflow  # noqa: PLC0415 - an extra that need not be there to collect the tests

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    return mlflow.MlflowClient()


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    return write_mlp(tmp_path_factory.mktemp("models"), name="fraud", sizes=(WIDTH, 8, 3), format="safetensors")


def register(client: Any, name: str, folder: Path, *, at: str = "model") -> str:
    """Log a folder as an artifact, register it and return the number that it got."""
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(folder), artifact_path=at)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/model"
    return str(client.create_model_version(name, source, run.info.run_id).version)


def origin(uri: str, sha256: str | None) -> Origin:
    return Origin("/models", uri, sha256, allowed_uri_prefixes=("models:/",))


@pytest.mark.parametrize("at", ["model", "model/stream-infer"])
def test_a_registered_version_is_fetched_and_loads(client: Any, version: MadeVersion, tmp_path: Path, at: str) -> None:
    number = register(client, "fraud", version.path, at=at)
    uri = f"models:/fraud/{number}"
    found = fetch_version("fraud", "7", origin=origin(uri, version.digest), cache=tmp_path)
    assert (found.name, found.version) == ("fraud", "7")
    assert load(MadeVersion(found, version.digest, version.module)).digest == version.digest
    assert not list(tmp_path.rglob("scratch"))


def test_an_alias_is_pinned_to_the_number_that_it_stands_for(client: Any, version: MadeVersion, tmp_path: Path) -> None:
    numbers = [register(client, "aliased", version.path) for _ in range(2)]
    client.set_registered_model_alias("aliased", "champion", numbers[0])
    pinned = pin_version("fraud", "7", origin=origin("models:/aliased@champion", None))
    client.set_registered_model_alias("aliased", "champion", numbers[1])
    assert (pinned.uri, pinned.sha256) == (f"models:/aliased/{numbers[0]}", version.digest)
    assert resolve("models:/aliased@champion") == f"models:/aliased/{numbers[1]}"
    with pytest.raises(Stop, match=r"names the alias champion, which may move, expected the number"):
        fetch_version("fraud", "7", origin=origin("models:/aliased@champion", version.digest), cache=tmp_path)


def test_a_registered_version_without_a_manifest_is_answered_with_how_to_log_it(
    client: Any, tmp_path: Path, version: MadeVersion
) -> None:
    (tmp_path / "plain" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "plain" / "model.pt").write_bytes(b"x")
    (tmp_path / "plain" / "deep" / "deeper" / "model.yaml").write_bytes(b"x")
    number = register(client, "plain", tmp_path / "plain")
    with pytest.raises(
        Stop, match=r"holds no model.yaml, expected one, at most one folder deep: log a version's folder"
    ):
        fetch_version("fraud", "7", origin=origin(f"models:/plain/{number}", version.digest), cache=tmp_path / "cache")


def test_several_manifests_are_one_too_many(client: Any, tmp_path: Path, version: MadeVersion) -> None:
    for name in ("a", "b"):
        (tmp_path / "both" / name).mkdir(parents=True)
        (tmp_path / "both" / name / "model.yaml").write_bytes(b"x")
    number = register(client, "both", tmp_path / "both")
    with pytest.raises(Stop, match=r"holds model.yaml in a, b, expected one"):
        fetch_version("fraud", "7", origin=origin(f"models:/both/{number}", version.digest), cache=tmp_path / "cache")


def test_a_registered_file_that_differs_leaves_nothing_behind(
    client: Any, tmp_path: Path, version: MadeVersion
) -> None:
    folder = tmp_path / "tampered"
    folder.mkdir()
    for path in version.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes() + (b"" if path.name == "model.yaml" else b"more"))
    number = register(client, "tampered", folder)
    with pytest.raises(Stop, match=r"model.safetensors has \d+ bytes, expected at most \d+$"):
        fetch_version("fraud", "7", origin=origin(f"models:/tampered/{number}", version.digest), cache=tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.*"))


def test_a_version_that_is_not_registered_stops_with_a_sentence(
    client: Any, version: MadeVersion, tmp_path: Path
) -> None:
    for uri in ("models:/nobody/1", "models:/nobody@champion"):
        with pytest.raises(Stop, match=rf"^{uri} (is not there|cannot be read)"):
            pin_version("fraud", "7", origin=origin(uri, None))


def test_a_registry_that_is_away_is_asked_again_later(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(Retry, match=r"^models:/fraud@champion cannot be read for now"):
        resolve("models:/fraud@champion")
