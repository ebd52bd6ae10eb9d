"""What the log says of batches: which one it was, and never more the more records there are."""

import logging
from pathlib import Path

import numpy as np
import pytest

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline.about import offsets_of
from stream_infer.pipeline.limit import Allowed
from stream_infer.records import Partition, Records, Run
from tests.pipeline.rolled import Watching, broken, named, with_canary
from tests.pipeline.scored import KNOWN, TOPIC, Ground

EVERYTHING_IS_ALLOWED = Allowed(max_ratio=1.0, min_records=40, window_s=60.0)


@pytest.fixture
def ground(model: Path, caplog: pytest.LogCaptureFixture) -> Ground:
    caplog.set_level(logging.INFO)
    made = Ground(model, refusals=EVERYTHING_IS_ALLOWED)
    made.assign(0, 1)
    return made


def about(caplog: pytest.LogCaptureFixture, words: str) -> list[dict[str, object]]:
    """Return the fields of each line with these words."""
    names = ("batch", "offsets", "revision", "version")
    lines = [one for one in caplog.records if words in one.getMessage()]
    return [{name: getattr(one, name) for name in names if hasattr(one, name)} for one in lines]


def test_a_call_that_failed_is_said_with_its_batch_and_where_that_lies(
    ground: Ground, loaded: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    ground.inbox.serve(Serving(3, named(loaded, "2")))
    ground.poll([ground.value(1)] * 8, offset=100)
    ground.turn(3)
    ground.poll([ground.value(1)] * 8, offset=108)
    ground.turn(3)
    ground.poll([ground.value(1)] * 5, partition=1, offset=7)
    ground.poll([ground.value(KNOWN + 5)] * 3, offset=116)
    ground.turn(3)
    offsets = f"{TOPIC}[0] 116-118, {TOPIC}[1] 7-11"
    expected = {"batch": 3, "offsets": offsets, "revision": 3, "version": "2"}
    assert about(caplog, "failed on a batch of 8") == [expected]


@pytest.mark.parametrize("batches", [2, 50])
def test_a_model_that_fails_on_every_batch_is_a_line_however_many_there_are(
    ground: Ground, caplog: pytest.LogCaptureFixture, batches: int
) -> None:
    for number in range(batches):
        ground.poll([ground.value(KNOWN + number)] * 8, offset=8 * number)
        ground.turn(2)
    ground.inbox.drain()
    ground.turn()
    assert len(ground.dead_letters()) == 8 * batches
    assert len(about(caplog, "failed on a batch")) == 1


def test_a_registry_that_is_away_is_a_line_however_often_it_is_asked(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.decoder.refusals = 50
    ground.poll([ground.value(1)] * 3, offset=4)
    ground.turn(400, after_s=1.0)
    assert len(ground.predictions()) == 3
    assert about(caplog, "records wait") == [{"batch": 1, "offsets": f"{TOPIC}[0] 4-6"}]


def test_a_limit_that_is_met_again_and_again_is_a_line(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ground = Ground(model, refusals=Allowed(max_ratio=0.1, min_records=10_000, window_s=3.0))
    ground.assign(0)
    for number in range(20):
        ground.poll([b"nonsense", ground.value(1)], offset=2 * number)
        ground.turn(20, after_s=0.5)
    assert len(ground.dead_letters()) == 20
    assert len(about(caplog, "held back")) == 2, "one that says so, and one that it is over"


def test_a_stop_says_which_batch_gave_the_reason(
    ground: Ground, loaded: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    ground.inbox.serve(Serving(5, broken(loaded, "3")))
    ground.poll([ground.value(1)] * 4, offset=20)
    ground.turn(3)
    expected = {"batch": 1, "offsets": f"{TOPIC}[0] 20-23", "revision": 5, "version": "3"}
    assert about(caplog, "nothing is scored until") == [expected]


def test_a_canary_that_is_stopped_is_one_line_with_its_batch_revision_and_version(
    ground: Ground, loaded: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    ground.inbox.serve(with_canary(9, loaded, named(loaded, "2"), percent=100, guard=Watching(trips_at=0)))
    ground.poll([ground.value(1)] * 8)
    ground.turn(3)
    (found,) = about(caplog, "is stopped, stable scores its share")
    assert found == {"batch": 1, "revision": 9, "version": "2"}


def test_batches_are_numbered_in_the_order_in_which_they_are_cut(
    ground: Ground, loaded: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        ground.poll([ground.value(1)] * 8, offset=8 * number)
        ground.turn(2)
    ground.inbox.serve(Serving(6, broken(loaded, "3")))
    ground.poll([ground.value(1)], offset=40)
    ground.turn(3)
    assert [found["batch"] for found in about(caplog, "nothing is scored until")] == [6]


def test_a_batch_of_many_partitions_names_the_first_eight() -> None:
    runs = tuple(Run(Partition("t", 11 - number), 1, number, number + 1) for number in range(12))
    empty = [None] * 12
    records = Records(runs, np.arange(12), np.zeros(12, dtype=np.int64), list(empty), list(empty), None, 0.0)
    said = offsets_of(records) or ""
    assert said.startswith("t[0] 11-11, t[1] 10-10, ")
    assert said.endswith("t[7] 4-4, ...")
    assert offsets_of(records.slice(0, 0)) is None
