"""Where predictions go: what decides the partition of each."""

from dataclasses import replace

import pytest

from stream_infer.pipeline.encode import Encoded
from stream_infer.pipeline.produce import Predictions
from stream_infer.testing.producer import FakeProducer
from tests.pipeline.polls import make_records

ANY = -1
ROWS = [(0, 5), (0, 6), (3, 1), (3, 2)]
KEYS = [b"a", None, None, b""]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"in": 4, "out": 4}, [ANY, 0, 3, ANY], id="as many: the number that it came from"),
        pytest.param({"in": 4, "out": 8}, [ANY] * 4, id="another number of partitions"),
        pytest.param({"in": 3, "out": 3}, [ANY, 0, ANY, ANY], id="counted before the input was given more"),
        pytest.param({"out": 4}, [ANY] * 4, id="an input that is gone"),
        pytest.param({}, [ANY] * 4, id="nothing is known of either"),
    ],
)
def test_a_key_decides_the_partition_and_without_one_the_number_that_it_came_from(
    counts: dict[str, int], expected: list[int]
) -> None:
    producer = FakeProducer({"out": 4})
    records = replace(make_records(ROWS, topic="in"), keys=KEYS)
    rows = list(range(len(ROWS)))
    predictions = Predictions("out", producer=producer, partitions=counts)
    assert predictions.send(records, Encoded([b"v"] * len(rows), rows, ())) == []
    assert [(one.key, one.partition) for one in producer.sent] == list(zip(KEYS, expected, strict=True))
