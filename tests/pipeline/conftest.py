from pathlib import Path

import pytest

from stream_infer.model import LoadedVersion
from tests.pipeline.scored import load, write_lookup


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version that no test changes."""
    return write_lookup(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def loaded(model: Path) -> LoadedVersion:
    return load(model, batch_size=8)
