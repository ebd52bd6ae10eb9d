"""A record of the retry topic is answered as the input record that its headers name, and only there they count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.origin import (
    ATTEMPT,
    OFFSET,
    PARTITION,
    TOPIC,
    origin_headers,
    read_attempt,
    read_origin,
    with_origins,
)
from stream_infer.records import Assigned, Headers, Partition, Place, concat
from tests.pipeline.polls import make_records
from tests.pipeline.scored import RETRY, Ground
from tests.pipeline.scored import TOPIC as INPUT

PLACE = Place(Partition("events", 2), 71)
places = st.builds(Place, st.builds(Partition, st.text(min_size=1), st.integers(0, 10_000)), st.integers(0, 2**63 - 1))


@given(places, st.integers(1, 100))
def test_what_a_replay_writes_is_what_the_worker_reads(place: Place, attempt: int) -> None:
    headers = origin_headers(place, attempt=attempt)
    assert read_origin(headers) == place
    assert read_attempt(headers) == attempt


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [(TOPIC, b"events"), (PARTITION, b"1")],
        [(TOPIC, b"events"), (PARTITION, b"-1"), (OFFSET, b"5")],
        [(TOPIC, b"events"), (PARTITION, b"one"), (OFFSET, b"5")],
        [(TOPIC, b"\xff\xfe"), (PARTITION, b"1"), (OFFSET, b"5")],
        [(TOPIC, b"events"), (PARTITION, b"1"), (OFFSET, b"9" * 5_000), (ATTEMPT, b"9" * 5_000)],
        [(TOPIC, b"events"), (PARTITION, b"1"), (OFFSET, b"%d" % 2**63)],
        [(TOPIC, b"events"), (PARTITION, b"%d" % 2**31), (OFFSET, b"5")],
        [(TOPIC, None), (PARTITION, None), (OFFSET, None), (ATTEMPT, None)],
    ],
)
def test_headers_that_name_no_place_name_none(headers: Headers | None) -> None:
    assert read_origin(headers) is None
    assert read_attempt(headers) == 0


def test_headers_of_input_records_mean_nothing() -> None:
    records = replace(make_records([(0, 5)], topic=INPUT), headers=[origin_headers(PLACE, attempt=1)])
    assert with_origins(records, RETRY).origin(0) == Place(Partition(INPUT, 0), 5)


def test_origins_travel_with_their_rows() -> None:
    retried = replace(make_records([(0, 1), (0, 2)], topic=RETRY), headers=[origin_headers(PLACE, attempt=1), None])
    whole = concat([make_records([(1, 9)], topic=INPUT), with_origins(retried, RETRY)])
    own = [Place(Partition(INPUT, 1), 9), PLACE, Place(Partition(RETRY, 0), 2)]
    assert [whole.origin(row) for row in range(3)] == own
    assert [whole.take(np.array([2, 1])).origin(row) for row in range(2)] == [own[2], own[1]]
    assert whole.slice(1, 2).origin(0) == PLACE
    assert whole.choose(whole.runs[1:]).origin(0) == PLACE


@pytest.fixture
def ground(model: Path) -> Ground:
    made = Ground(model)
    made.inbox.put(told.Begin([Assigned(Partition(RETRY, 0), 1, None), Assigned(Partition(INPUT, 0), 1, None)]))
    return made


def test_answers_and_dead_letters_of_retries_name_the_original(ground: Ground) -> None:
    values = [ground.value(1), b"nonsense", ground.value(2)]
    ground.retry(values, origins=[PLACE, Place(Partition(INPUT, 3), 4), None])
    ground.poll([ground.value(0)])
    answer = ground.inbox.drain()
    ground.turn()
    assert {source.topic: position.offset for source, position in answer.result(0).items()} == {INPUT: 1, RETRY: 3}
    sources = [(one["source_topic"], one["source_partition"], one["source_offset"]) for one in ground.predictions()]
    assert sources == [("events", 2, 71), (RETRY, 0, 2), (INPUT, 0, 0)]
    (refused,) = ground.dead_letters()
    headers = dict(refused.headers)
    assert (headers["__streams.errors.partition"], headers["__streams.errors.offset"]) == (b"3", b"4")
    assert headers[ATTEMPT] == b"1"


def test_a_retry_without_a_key_goes_where_the_original_would_have_gone(ground: Ground) -> None:
    beyond = Place(Partition("events", 99), 0)
    ground.retry([ground.value(1)] * 3, origins=[PLACE, beyond, None], keys=[None] * 3)
    ground.inbox.drain()
    ground.turn()
    assert [one.partition for one in ground.producer.delivered] == [2, -1, 0]
