from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from tests.end_to_end.job import JobMaker


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which workers of all tests remember which versions they tried."""
    return tmp_path_factory.mktemp("model-cache")


@pytest.fixture
def make_job(kafka: Cluster, topics: Topics, tmp_path: Path, model_cache: Path) -> JobMaker:
    """Return a maker of jobs of this test alone, on the session's Kafka."""
    return JobMaker(kafka.bootstrap_servers, topics, tmp_path, model_cache)
