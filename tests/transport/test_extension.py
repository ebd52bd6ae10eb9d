"""The extension is there where it must be, and nothing needs it."""

import os
import subprocess
import sys

from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.extension import WHY_NOT

WITHOUT = """
import sys
sys.modules["stream_infer.transport._rows"] = None
import numpy as np
import pyarrow as pa
from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing
from stream_infer.transport.extension import WHY_NOT
from stream_infer.transport.reads import make_consumer
from stream_infer.transport.sink import Sink

assert WHY_NOT
servers = {"bootstrap.servers": sys.argv[1], "log_level": 0}
sink = Sink({**servers, "delivery.report.only.error": True})
values = [b"%d" % number for number in range(100)]
for each in (values, Packed(pa.array(values, pa.binary()))):
    assert sink.send(Outgoing("out", [b"k"] * 100, each, np.full(100, -1))) == []
sink.flush()
consumer, take = make_consumer({**servers, "group.id": "g", "auto.offset.reset": "earliest"})
consumer.subscribe(["out"])
assert [message.value() for message in consumer.consume(200, 20)] == values * 2
assert take(200) is None
consumer.close()
"""


def test_it_is_built_where_everything_is_tested() -> None:
    assert WHY_NOT is None or os.environ.get("CI") != "true"


def test_without_it_everything_is_written_and_read_all_the_same() -> None:
    with MockCluster() as cluster:
        cluster.create_topics(["out"])
        command = [sys.executable, "-W", "error", "-c", WITHOUT, cluster.bootstrap_servers]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
