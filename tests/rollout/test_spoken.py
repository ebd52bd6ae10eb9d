"""What the log says of rollouts: every change once, with its revision and version, whatever the control topic holds."""

import json
import logging

import pytest

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.rollout.fold import Entry
from tests.rollout.test_follow import Ground, ground, loaded

__all__ = ["ground", "loaded"]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object, object]]:
    """Return each line with its revision and version."""
    records = [one for one in caplog.records if one.name.startswith("stream_infer.rollout")]
    return [(one.getMessage(), getattr(one, "revision", None), getattr(one, "version", None)) for one in records]


def test_a_version_s_whole_way_carries_its_revision_and_its_name(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ground.write("2")
    ground.load()
    assert told(caplog) == [
        ("revision 1 counts, at offset 0 of the control topic", 1, None),
        ("version 2 is VERIFYING", 1, "2"),
        ("version 2 is LOADING", 1, "2"),
        ("version 2 is WARMING", 1, "2"),
        ("version 2 is READY", 1, "2"),
        ("revision 1 serves: version 2", 1, "2"),
    ]


def test_a_load_that_failed_says_so_with_the_reason(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    ground.write("2")
    ground.turn()
    ground.loader.fail("its digest is wrong")
    ground.turn()
    assert told(caplog)[-1] == ("version 2 is FAILED: its digest is wrong", 1, "2")


def test_a_log_that_is_read_at_a_start_says_only_what_counts_in_the_end(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    value = json.dumps({"model": "fraud", "stable": {"version": "2"}}).encode()
    ground.follower.hear([Entry(offset, b"fraud", value, 0) for offset in range(100)])
    assert told(caplog) == [("revision 100 counts, at offset 99 of the control topic", 100, None)]


def test_control_records_that_mean_nothing_are_a_line_however_many_there_are(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    verdicts = ground.follower.hear([Entry(offset, b"fraud", b"{", 0) for offset in range(100)])
    assert len(verdicts) == 100
    assert len(told(caplog)) == 1


def test_that_nothing_can_serve_is_a_line_however_long_it_lasts(
    loaded: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    ground = Ground(loaded, baseline=None)
    ground.write("2")
    ground.turn()
    ground.loader.fail("its digest is wrong")
    try:
        ground.turn(100)
    except Stop as ended:
        pytest.fail(f"nothing was to end here: {ended}")
    assert [text for text, _, _ in told(caplog) if "no earlier version" in text] == [
        "no earlier version either: the settings name no version"
    ]
