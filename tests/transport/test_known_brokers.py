import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.known_brokers import LOST_AFTER, KnownBrokers

WITHIN_S = 30.0
NAMED = '{ "brokers":{ "a:1/1": { "name":"a:1/1", "source":"learned", "state":"DOWN" } } }'
NONE = '{ "brokers":{ "GroupCoordinator": { "source":"logical" }, ":0/internal": { "source":"internal" } } }'


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@given(named=st.lists(st.booleans(), max_size=12))
def test_brokers_are_lost_once_none_was_named_so_many_times_in_a_row(named: list[bool]) -> None:
    known = KnownBrokers()
    for one in named:
        known.hear(NAMED if one else NONE)
    last = named[-LOST_AFTER:]
    assert known.are_lost == (len(last) == LOST_AFTER and not any(last))


def test_a_client_that_was_given_a_broker_knows_of_it_whether_it_answers_or_not(cluster: MockCluster) -> None:
    for servers in (cluster.bootstrap_servers, "127.0.0.1:1"):
        heard, known = listen({"bootstrap.servers": servers})
        assert heard > LOST_AFTER
        assert not known.are_lost


def test_a_client_without_brokers_is_noticed() -> None:
    assert listen({})[1].are_lost


def listen(properties: dict[str, object]) -> tuple[int, KnownBrokers]:
    """Return how many statistics of a client were heard, and what they say."""
    known, heard = KnownBrokers(), 0

    def hear(statistics: str) -> None:
        nonlocal heard
        heard += 1
        known.hear(statistics)

    producer = Producer({**properties, "statistics.interval.ms": 50, "stats_cb": hear, "log_level": 0})
    until_s = time.monotonic() + WITHIN_S
    while heard <= LOST_AFTER and time.monotonic() < until_s:
        producer.poll(0.1)
    return heard, known
