import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.base import build, make_base
from tests.docker.daemon import docker, docker_daemon

VERSION = "0.0.0-test"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of this checkout, on a base of its own; BASE in the environment names another."""
    with docker_daemon():
        base = os.environ.get("BASE")
        arguments = {"BASE": base} if base else make_base(tmp_path_factory.mktemp("base"))
        name = build("stream-infer-test", {**arguments, "VERSION": VERSION})
        yield name
        docker("image", "rm", "--force", name)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that any user may read, as the one in the container must."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return tmp_path
