"""What a worker says of itself."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.rollout.status import VersionStatus, WorkerStatus, parse_status, status_key, to_json
from tests.rollout.states import texts

versions = st.builds(
    VersionStatus,
    version=texts,
    digest=st.none() | texts,
    variant=st.sampled_from([None, "stable", "canary"]),
    state=texts,
    reason=st.none() | texts,
    since=texts,
)
statuses = st.builds(
    WorkerStatus,
    application_id=texts,
    model=texts,
    worker=texts,
    applied_revision=st.integers(0, 2**63 - 1),
    versions=st.lists(versions, max_size=4).map(tuple),
    tripped=st.none() | texts,
    at=texts,
    skew=st.none() | texts,
    reported=st.lists(texts, max_size=5).map(tuple),
)
AT = "2026-01-02T03:04:05.678+00:00"
STATUS = WorkerStatus(
    application_id="scoring",
    model="fraud",
    worker="pod-1",
    applied_revision=7,
    versions=(VersionStatus("2", "ab" * 32, "stable", "ACTIVE", None, AT),),
    tripped=None,
    at=AT,
)


def changed(**more: Any) -> bytes:
    return json.dumps({**json.loads(to_json(STATUS)), **more}).encode()


@given(status=statuses)
def test_a_status_that_was_written_is_read_as_it_was(status: WorkerStatus) -> None:
    assert parse_status(status_key(status), to_json(status)) == status


def test_a_status_has_the_shape_that_is_promised() -> None:
    assert status_key(STATUS) == b"scoring/fraud/pod-1"
    assert json.loads(to_json(STATUS)) == {
        "format": 1,
        "application_id": "scoring",
        "model": "fraud",
        "worker": "pod-1",
        "applied_revision": 7,
        "versions": [
            {
                "version": "2",
                "digest": "ab" * 32,
                "variant": "stable",
                "state": "ACTIVE",
                "reason": None,
                "since": AT,
            }
        ],
        "tripped": None,
        "skew": None,
        "at": AT,
        "reported": [],
    }


def test_a_newer_workers_fields_and_states_are_no_hindrance() -> None:
    newer = {"version": "3", "state": "THINKING", "since": AT, "mood": "good"}
    found = parse_status(status_key(STATUS), changed(versions=[newer], load=[1, {"x": 2}]))
    assert found is not None
    assert found.versions == (VersionStatus("3", None, None, "THINKING", None, AT),)


def test_only_the_last_five_refusals_are_told() -> None:
    many = WorkerStatus("a", "m", "w", 0, (), None, AT, reported=tuple(f"offset {offset}: no" for offset in range(8)))
    found = parse_status(None, to_json(many))
    assert found is not None
    assert found.reported == many.reported[-5:]


def test_a_reason_of_several_lines_is_read_as_one() -> None:
    failed = VersionStatus("3", None, None, "FAILED", "it broke\nat line 3 \udcff", AT)
    found = parse_status(None, to_json(WorkerStatus("a", "m", "w", 0, (failed,), "a\tb", AT)))
    assert found is not None
    assert (found.versions[0].reason, found.tripped) == ("it broke at line 3 ?", "a b")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"{}",
        changed(format=2),
        changed(worker=None),
        changed(applied_revision="7"),
        changed(versions=[{"version": "2"}]),
        changed(versions="2"),
        changed(reported=[1]),
    ],
)
def test_what_is_no_status_is_none(value: bytes | None) -> None:
    assert parse_status(b"scoring/fraud/pod-1", value) is None


def test_a_status_under_another_workers_key_is_none() -> None:
    assert parse_status(b"scoring/fraud/pod-2", to_json(STATUS)) is None


@given(key=st.none() | st.binary(), value=st.binary())
def test_bytes_are_a_status_or_none(key: bytes | None, value: bytes) -> None:
    assert parse_status(key, value) is None
