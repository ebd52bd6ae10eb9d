import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream_infer.cli.model import app
from stream_infer.errors import Stop
from stream_infer.model.fetch import Origin, fetch_version, pin_version
from stream_infer.model.repository import find_version
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.integrations.servers import started
from tests.model.made import WIDTH, load

# What other people's packages warn about is theirs to mend.
pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("default")]

REPOSITORY = "s3://models/our models"


@dataclass
class Bucket:
    """A repository in S3 with the versions 1 and 2 of `fraud`, the plain files they were made of, and a client."""

    first: MadeVersion
    second: MadeVersion
    files: Any


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started("moto.server", ("-H", "127.0.0.1", "-p", "0"), folder=tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="session")
def environment(endpoint: str) -> Iterator[None]:
    names = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**names, "AWS_DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def bucket(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    import s3fs  # noqa: PLC0415 - an extra that need not be there to collect the tests

    root = tmp_path_factory.mktemp("models")
    versions = [
        write_mlp(root, name="fraud", version=version, sizes=(WIDTH, 8, 3), seed=int(version), format="safetensors")
        for version in ("1", "2")
    ]
    files = s3fs.S3FileSystem()
    files.mkdir("models")
    files.mkdir("elsewhere")
    files.put(f"{root}/", f"{REPOSITORY}/", recursive=True)
    files.put(f"{versions[0].path}/", "s3://elsewhere/v 100%25/", recursive=True)
    return Bucket(versions[0], versions[1], files)


def test_a_version_in_a_bucket_is_fetched_and_loads(bucket: Bucket, tmp_path: Path) -> None:
    found = fetch_version("fraud", "2", origin=Origin(REPOSITORY), cache=tmp_path)
    assert load(MadeVersion(found, bucket.second.digest, bucket.second.module)).digest == bucket.second.digest
    assert fetch_version("fraud", "2", origin=Origin(REPOSITORY), cache=tmp_path) == found


def test_a_repository_in_a_bucket_is_listed(bucket: Bucket) -> None:
    listed = CliRunner().invoke(app, ["list", "--repository", REPOSITORY], catch_exceptions=False)
    assert listed.stdout.splitlines() == [f"fraud\t{one}\t{REPOSITORY}/fraud/{one}" for one in ("1", "2")]
    with pytest.raises(Stop, match=r"has the versions 1, 2, expected model.version to name one of them$"):
        find_version(REPOSITORY, "fraud")


def test_what_is_put_into_a_bucket_later_is_found(bucket: Bucket, tmp_path: Path) -> None:
    later = Origin("s3://models/later")
    bucket.files.put(f"{bucket.first.path}/", f"{later.repository}/fraud/1/", recursive=True)
    with pytest.raises(Stop, match=r"^model fraud has no version 3, expected one of those in .*/fraud: 1$"):
        fetch_version("fraud", "3", origin=later, cache=tmp_path)
    bucket.files.put(f"{bucket.first.path}/", f"{later.repository}/fraud/3/", recursive=True)
    assert fetch_version("fraud", "3", origin=later, cache=tmp_path).version == "3"


def test_a_uri_elsewhere_is_fetched_when_it_is_allowed_and_pinned(bucket: Bucket, tmp_path: Path) -> None:
    uri = "s3://elsewhere/v 100%25"
    allowed = Origin(REPOSITORY, uri, allowed_uri_prefixes=("s3://elsewhere/",))
    pinned = pin_version("fraud", "7", origin=allowed)
    assert (pinned.uri, pinned.sha256) == (uri, bucket.first.digest)
    origin = Origin(REPOSITORY, uri, pinned.sha256, pinned.size_bytes, allowed_uri_prefixes=("s3://elsewhere",))
    assert fetch_version("fraud", "7", origin=origin, cache=tmp_path).version == "7"
    with pytest.raises(Stop, match=r"may not be fetched from"):
        fetch_version("fraud", "7", origin=Origin(REPOSITORY, uri, pinned.sha256), cache=tmp_path)


def test_an_object_that_differs_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    bucket.files.put(f"{bucket.first.path}/", "s3://models/damaged/fraud/1/", recursive=True)
    with bucket.files.open("s3://models/damaged/fraud/1/model.safetensors", "wb") as file:
        file.write(b"damaged")
    with pytest.raises(Stop, match=r"^s3://models/damaged/fraud/1/model.safetensors has 7 bytes, expected \d+$"):
        fetch_version("fraud", "1", origin=Origin("s3://models/damaged"), cache=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_bucket_that_is_not_there_stops_with_a_sentence(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"^the model repository s3://no-such-bucket has no model fraud"):
        fetch_version("fraud", "1", origin=Origin("s3://no-such-bucket"), cache=tmp_path)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [({"AWS_ENDPOINT_URL": "closed"}, "Retry"), ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Stop")],
    ids=["away", "no credentials"],
)
def test_a_server_that_is_away_is_asked_again_and_without_credentials_nobody_is(
    environment: None, tmp_path: Path, changed: dict[str, str | None], kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    variables = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    for name, value in changed.items():
        variables.pop(name)
        variables |= {name: closed} if value else {}
    code = (
        "import sys; from pathlib import Path; from stream_infer.model.fetch import Origin, fetch_version\n"
        "from stream_infer.errors import StreamInferError\n"
        "try: fetch_version('fraud', '1', origin=Origin('s3://models'), cache=Path(sys.argv[1]))\n"
        "except StreamInferError as error: print([one.__name__ for one in type(error).__mro__], error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=True)
    assert f"'{kind}'" in ended.stdout


@pytest.mark.parametrize(
    ("logged", "is_told"),
    [
        ("logging.config.dictConfig(logging_of(load_settings(None, ['log.level=debug'], {})))", False),
        ("logging.config.dictConfig(logging_config(level='debug', form='json'))", False),
        ("logging.basicConfig(level=logging.DEBUG)", True),
    ],
    ids=["as a worker does", "without the net of known secrets", "as anybody does"],
)
def test_a_session_token_is_in_no_line_however_much_is_logged(
    bucket: Bucket,
    tmp_path: Path,
    logged: str,
    is_told: bool,  # noqa: FBT001 - a table's column
) -> None:
    code = (
        "import logging.config, sys; from pathlib import Path; from stream_infer.settings import load_settings\n"
        "from stream_infer.logs import logging_config, logging_of\n"
        "from stream_infer.model.fetch import Origin, fetch_version\n"
        f"{logged}\n"
        f"fetch_version('fraud', '1', origin=Origin({REPOSITORY!r}), cache=Path(sys.argv[1]))\n"
    )
    variables = {**os.environ, "AWS_SESSION_TOKEN": "a-session-token-of-mine"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=True)
    assert ("a-session-token-of-mine" in ended.stderr) is is_told
