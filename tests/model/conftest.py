from pathlib import Path

import pytest

from stream_infer.model import LoadedVersion
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.model.made import WIDTH, load


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    """A version that no test changes."""
    return write_mlp(tmp_path_factory.mktemp("models"), sizes=(WIDTH, 8, 3))


@pytest.fixture(scope="session")
def loaded(made: MadeVersion) -> LoadedVersion:
    return load(made)


@pytest.fixture
def weights(tmp_path: Path) -> MadeVersion:
    """A version of its own for each test, quick to make."""
    return write_mlp(tmp_path, sizes=(WIDTH, 8, 3), format="safetensors")
