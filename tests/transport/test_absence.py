import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import Stop
from stream_infer.records import End, Partition
from stream_infer.transport.absence import LIMIT_S, Absence
from stream_infer.transport.statistics import read_statistics

LOOKS = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30)


def ends_the_worker(looks: list[tuple[bool, int]], *, every_s: float) -> bool:
    absence = Absence()
    try:
        for number, (joined, connected) in enumerate(looks):
            absence.note(number * every_s, joined=joined, connected=connected)
    except Stop:
        return True
    return False


def test_a_client_that_stays_out_of_the_group_though_it_could_be_in_ends_the_worker() -> None:
    absence = Absence()
    absence.note(0.0, joined=True, connected=3)
    for seconds in range(0, int(LIMIT_S) + 1, 5):
        absence.note(10.0 + seconds, joined=False, connected=1)
    with pytest.raises(Stop, match=r"has not had this worker for 301 s although 1 brokers answer.* start the worker"):
        absence.note(11.0 + LIMIT_S, joined=False, connected=1)


def test_a_process_that_was_stopped_for_long_is_given_time_to_come_back() -> None:
    assert not ends_the_worker([(False, 3)] * 2, every_s=3 * LIMIT_S)


def test_an_outage_is_waited_out_for_ever() -> None:
    assert not ends_the_worker([(False, 0)] * 100, every_s=LIMIT_S)


@given(looks=LOOKS)
def test_nobody_is_ended_who_was_in_the_group_within_the_limit(looks: list[tuple[bool, int]]) -> None:
    often = [one for look in looks for one in (look, (True, 3))]
    assert not ends_the_worker(often, every_s=LIMIT_S / 2)


def test_only_places_count_as_brokers_and_a_watermark_is_known_once_fetched() -> None:
    partition = {"hi_offset": 7, "next_offset": 7, "fetchq_cnt": 0}
    text = json.dumps(
        {
            "brokers": {
                "a:1/1": {"state": "UP", "source": "learned"},
                "b:1/2": {"state": "DOWN", "source": "learned"},
                "c:1/bootstrap": {"state": "INIT", "source": "configured"},
                "GroupCoordinator": {"state": "UP", "source": "logical"},
            },
            "topics": {"t": {"partitions": {"0": partition, "-1": {"hi_offset": -1001}}}},
        }
    )
    found = read_statistics(text)
    assert found.connected == 1
    assert found.ends == {Partition("t", 0): End(7, is_drained=True)}
