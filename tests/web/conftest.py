from pathlib import Path

import pytest

from stream_infer.model import LoadedVersion
from tests.pipeline.scored import load, write_lookup


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    """A version that scores its first feature by a table, and that no test changes."""
    model: Path = write_lookup(tmp_path_factory.mktemp("models"))
    return load(model, batch_size=8)
