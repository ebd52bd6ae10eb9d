"""Both ways to hand rows to librdkafka do the same, and the one without Python's lock trusts nobody."""

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing
from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.rows import AtOnce, RowByRow, RowProducer

_rows = pytest.importorskip("stream_infer.transport._rows", exc_type=ImportError)

PROPERTIES = {"delivery.report.only.error": True, "partitioner": "murmur2_random", "log_level": 0}
WAYS: list[Callable[[Any], RowProducer]] = [RowByRow, AtOnce]
STAMP_MS = 1_700_000_000_123
Record = tuple[int, bytes | None, bytes | None, int]


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with MockCluster() as cluster:
        cluster.create_topics(["a", "b"])
        yield cluster.bootstrap_servers


@pytest.fixture(scope="module")
def ways(servers: str) -> list[RowProducer]:
    return [make({**PROPERTIES, "bootstrap.servers": servers}) for make in WAYS]


@pytest.fixture(scope="module")
def readers(servers: str) -> Iterator[list["Reader"]]:
    made = [Reader(servers, topic) for topic in ("a", "b")]
    yield made
    for reader in made:
        reader.close()


class Reader:
    """Reads what came since the last call."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "g", "fetch.wait.max.ms": 10, "log_level": 0}
        )
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(4)])
        self.close = self._consumer.close

    def read(self, count: int) -> list[list[Record]]:
        messages = self._consumer.consume(count, 20) if count else []
        assert len(messages) == count
        records = [(one.partition(), one.key(), one.value(), one.timestamp()[1]) for one in messages]
        return [[one for one in records if one[0] == number] for number in range(4)]  # type: ignore[misc]


def must_not(row: int) -> None:
    raise AssertionError(f"row {row} was refused")


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.none() | st.binary(max_size=5),
        st.binary(max_size=50),
        st.integers(1, 1 << 41),
    ),
    max_size=30,
)


@given(rows=ROWS, is_packed=st.lists(st.booleans(), min_size=2, max_size=2))
@settings(deadline=None, max_examples=40)
def test_both_ways_write_the_same_records(
    ways: list[RowProducer],
    readers: list[Reader],
    rows: list[tuple[int, bytes | None, bytes, int]],
    is_packed: list[bool],
) -> None:
    by_key = all(key for _, key, _, _ in rows)
    found = []
    for way, topic, reader, packed in zip(ways, ("a", "b"), readers, is_packed, strict=True):
        values = [value for _, _, value, _ in rows]
        outgoing = Outgoing(
            topic,
            [key for _, key, _, _ in rows],
            Packed(pa.array(values, pa.binary())) if packed else values,
            np.array([stamp for _, _, _, stamp in rows], np.int64),
            None if by_key else [partition for partition, _, _, _ in rows],
        )
        way.send(outgoing, refused=must_not)
        assert way.client.flush(20) == 0
        assert way.failure() is None
        found.append(reader.read(len(rows)))
    assert found[0] == found[1]
    assert sum(map(len, found[0])) == len(rows)


def outgoing(topic: str, *values: bytes) -> Outgoing:
    packed = Packed(pa.array(values, pa.binary()))
    return Outgoing(topic, [b"k"] * len(values), packed, np.full(len(values), STAMP_MS))


@pytest.mark.parametrize("make", WAYS)
def test_a_row_that_is_not_taken_is_told_while_those_behind_it_wait(servers: str, make: Any) -> None:
    way = make({**PROPERTIES, "bootstrap.servers": servers, "message.max.bytes": 2000})
    seen: list[tuple[int, int]] = []
    rows = outgoing("a", b"1", b"x" * 3000, b"3", b"x" * 3000, b"x" * 3000)
    way.send(rows, refused=lambda row: seen.append((row, len(way.client))))
    assert seen == [(1, 1), (3, 2), (4, 2)]
    assert len(way.client) == 2
    assert way.client.flush(20) == 0


@pytest.mark.parametrize("make", WAYS)
def test_a_record_that_is_given_up_is_known_with_its_topic_and_the_first_one_stays(make: Any) -> None:
    way = make({**PROPERTIES, "bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 50})
    assert way.failure() is None
    way.send(outgoing("first", b"v"), refused=must_not)
    assert way.client.flush(20) == 0
    way.send(outgoing("second", b"v"), refused=must_not)
    assert way.client.flush(20) == 0
    assert [(error.code(), topic) for error, topic in [way.failure()]] == [(KafkaError._MSG_TIMED_OUT, "first")]


def test_a_client_that_could_not_be_made_leaves_its_handle_to_no_other(tmp_path: Any) -> None:
    with pytest.raises(KafkaException, match="nothing-here"):
        AtOnce({**PROPERTIES, "plugin.library.paths": str(tmp_path / "nothing-here.so")})
    Producer({**PROPERTIES})
    way = AtOnce({**PROPERTIES, "bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 50})
    way.send(outgoing("t", b"v"), refused=must_not)
    assert way.client.flush(20) == 0
    failed = way.failure()
    assert failed is not None
    assert failed[1] == "t"


def test_a_plugin_of_the_user_s_is_loaded_beside_the_extension(servers: str, tmp_path: Any) -> None:
    theirs = shutil.copy(_rows.__file__, tmp_path / "theirs.so")
    way = AtOnce({**PROPERTIES, "bootstrap.servers": servers, "plugin.library.paths": str(theirs)})
    assert str(theirs) in Path("/proc/self/maps").read_text(encoding="utf-8")
    way.send(outgoing("unread", b"v"), refused=must_not)
    assert way.client.flush(20) == 0
    assert way.failure() is None


BAD: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("fewer offsets", {"offsets": np.array([0, 1], np.int32)}, ValueError),
    ("falling offsets", {"offsets": np.array([2, 1, 2], np.int32)}, ValueError),
    ("a negative offset", {"offsets": np.array([-1, 1, 2], np.int32)}, ValueError),
    ("offsets behind the end", {"offsets": np.array([0, 1, 3], np.int32)}, ValueError),
    ("fewer partitions", {"partitions": np.array([0], np.int32)}, ValueError),
    ("fewer stamps", {"stamps": np.array([0], np.int64)}, ValueError),
    ("a text for a key", {"keys": ["k", b"k"]}, TypeError),
    ("no handle", {"handle": object()}, ValueError),
]


@pytest.mark.parametrize(("given", "error"), [pytest.param(one, error, id=name) for name, one, error in BAD])
def test_columns_that_do_not_fit_each_other_are_refused_and_nothing_is_sent(
    given: dict[str, Any], error: type[Exception]
) -> None:
    handle = _rows.expect()
    client = Producer({**PROPERTIES, "plugin.library.paths": _rows.__file__})
    fine: dict[str, Any] = {
        "handle": handle,
        "topic": "t",
        "offsets": np.array([0, 1, 2], np.int32),
        "values": b"ab",
        "keys": [b"k", None],
        "partitions": np.array([-1, -1], np.int32),
        "stamps": np.array([0, 0], np.int64),
        "first": 0,
    }
    with pytest.raises(error):
        _rows.produce(*{**fine, **given}.values())
    assert len(client) == 0
    assert _rows.produce(*fine.values()) == len(client) == 2
    client.purge()
    client.flush(1)


def test_a_handle_outlives_its_client_and_a_client_its_handle() -> None:
    way = AtOnce(PROPERTIES)
    handle = way._handle
    del way
    gc.collect()
    assert not _rows.is_attached(handle)
    with pytest.raises(RuntimeError, match="closed"):
        _rows.produce(handle, "t", np.zeros(1, np.int32), b"", [], b"", b"", 0)
    # What is on its way when the client ends is given up by a thread that outlives both.
    way = AtOnce({**PROPERTIES, "bootstrap.servers": "127.0.0.1:1"})
    way.send(outgoing("t", *[b"v"] * 1000), refused=must_not)
    del way
    gc.collect()
    client = AtOnce({**PROPERTIES, "bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 50}).client
    gc.collect()
    client.produce("t", b"v")
    assert client.flush(20) == 0
