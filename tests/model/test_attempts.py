"""Loads that end their process are counted, whoever looks, and forgotten when one lives."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.clock import SystemClock
from stream_infer.errors import Stop
from stream_infer.model.attempts import Attempts
from stream_infer.testing.clock import HandClock

DIGEST = "ab" * 32
OTHER = "cd" * 32
BEGIN_AND_WAIT = f"""
import sys
from pathlib import Path
from stream_infer.clock import SystemClock
from stream_infer.model.attempts import Attempts
attempt = Attempts(Path(sys.argv[1]), clock=SystemClock()).begin(7, "{DIGEST}")
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def loading_elsewhere(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in the middle of a load, which is killed at the end."""
    command = [sys.executable, "-c", BEGIN_AND_WAIT, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield process
        process.kill()


def die(folder: Path, times: int = 1) -> None:
    for _ in range(times):
        with loading_elsewhere(folder):
            pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "attempts"


def test_nothing_crashed_where_nothing_was_tried(folder: Path) -> None:
    assert Attempts(folder, clock=SystemClock()).crashes(7, DIGEST) == 0
    assert not folder.exists()


def test_a_process_that_is_killed_in_a_load_counts_for_its_revision_and_version_alone(folder: Path) -> None:
    die(folder, times=2)
    attempts = Attempts(folder, clock=SystemClock())
    assert attempts.crashes(7, DIGEST) == 2
    assert attempts.crashes(8, DIGEST) == 0
    assert attempts.crashes(7, OTHER) == 0
    assert attempts.crashes(7, DIGEST[:-2]) == 0


def test_a_crash_may_count_for_a_while_alone_and_its_mark_can_be_named(folder: Path) -> None:
    die(folder)
    clock = HandClock(now_s=SystemClock().wall_s())
    attempts = Attempts(folder, clock=clock)
    assert attempts.crashes(7, DIGEST, within_s=60.0) == 1
    assert [path.match(str(attempts.marks(7, DIGEST))) for path in folder.iterdir()] == [True]
    clock.now_s += 120.0
    assert attempts.crashes(7, DIGEST, within_s=60.0) == 0
    assert attempts.crashes(7, DIGEST) == 1


def test_a_load_that_is_under_way_is_no_crash(folder: Path) -> None:
    with loading_elsewhere(folder):
        assert Attempts(folder, clock=SystemClock()).crashes(7, DIGEST) == 0
    assert Attempts(folder, clock=SystemClock()).crashes(7, DIGEST) == 1


def test_one_load_that_lives_forgets_those_that_died_of_the_same(folder: Path) -> None:
    die(folder)
    attempts = Attempts(folder, clock=SystemClock())
    with loading_elsewhere(folder) as process:
        with attempts.begin(7, DIGEST):
            assert attempts.crashes(7, DIGEST) == 1
        assert attempts.crashes(7, DIGEST) == 0
        process.kill()
        process.wait()
        assert attempts.crashes(7, DIGEST) == 1


def test_a_load_of_another_version_forgets_nothing(folder: Path) -> None:
    die(folder)
    attempts = Attempts(folder, clock=SystemClock())
    attempts.begin(7, OTHER).end()
    attempts.begin(8, DIGEST).end()
    assert attempts.crashes(7, DIGEST) == 1


def test_a_load_may_be_ended_twice(folder: Path) -> None:
    attempt = Attempts(folder, clock=SystemClock()).begin(7, DIGEST)
    attempt.end()
    attempt.end()
    assert list(folder.iterdir()) == []


def test_workers_that_look_at_the_same_time_all_see_the_crash(folder: Path) -> None:
    die(folder)
    with ThreadPoolExecutor(4) as pool:
        seen = pool.map(lambda _number: Attempts(folder, clock=SystemClock()).crashes(7, DIGEST), range(200))
    assert set(seen) == {1}


def test_what_does_not_belong_there_is_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"7-{DIGEST}-{'0' * 32}").mkdir()
    (folder / f"7-{DIGEST}").write_text("no attempt", encoding="utf-8")
    (folder / "notes.txt").write_text("of a person", encoding="utf-8")
    attempts = Attempts(folder, clock=SystemClock())
    assert attempts.crashes(7, DIGEST) == 0
    attempts.begin(7, DIGEST).end()
    assert len(list(folder.iterdir())) == 3


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    attempts = Attempts(tmp_path / "cache" / "attempts", clock=SystemClock())
    assert attempts.crashes(7, DIGEST) == 0
    with pytest.raises(Stop, match=r"cannot hold the mark of a load: .*, expected a folder that can be written"):
        attempts.begin(7, DIGEST)


@given(steps=st.lists(st.sampled_from(["begin", "end", "die"]), max_size=12))
@settings(deadline=None, max_examples=50)
def test_crashes_are_what_died_since_a_load_last_ended_well(steps: list[str]) -> None:
    """A file that nobody locks is what a process leaves that dies."""
    with TemporaryDirectory() as place:
        attempts, running, died = Attempts(Path(place), clock=SystemClock()), [], 0
        for number, step in enumerate(steps):
            if step == "begin":
                running.append(attempts.begin(7, DIGEST))
            elif step == "die":
                (Path(place) / f"7-{DIGEST}-{number:032x}").touch()
                died += 1
            elif running:
                running.pop().end()
                died = 0
            assert attempts.crashes(7, DIGEST) == died
        for attempt in running:
            attempt.end()
