import socket
from collections.abc import Iterator
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


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where nobody answers, and nobody else begins to: it is taken, and not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"
