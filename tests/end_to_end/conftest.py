from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, Topics
from tests.end_to_end.job import JobMaker


@pytest.fixture
def make_job(kafka: Cluster, topics: Topics, tmp_path: Path) -> JobMaker:
    """Return a maker of jobs of this test alone, on the session's Kafka."""
    return JobMaker(kafka.bootstrap_servers, topics, tmp_path)
