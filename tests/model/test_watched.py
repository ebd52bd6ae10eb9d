"""A child process is heard, looked at, and gone when its watch is over, whatever it does."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stream_infer.model.watched import Ended, Watched

START = "import json, os, sys; asked = json.load(sys.stdin); answers = int(sys.argv[-1])\n"
FOR_EVER = "import signal\nwhile True: signal.pause()\n"


class Enough(Exception):
    """A look saw enough."""


def start(code: str) -> Watched:
    return Watched([sys.executable, "-c", START + code], {"number": 7}, env=dict(os.environ))


def nothing() -> None:
    """Look, and see nothing."""


def until(seen: Callable[[], bool]) -> Callable[[], None]:
    def look() -> None:
        if seen():
            raise Enough

    return look


def test_a_child_is_asked_and_answers_whatever_it_prints() -> None:
    child = start('print("noise"); os.write(answers, json.dumps({"twice": 2 * asked["number"]}).encode() + b"\\n")')
    assert child.wait(nothing) == Ended(0, "noise\n")
    assert child.said == [{"twice": 14}]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(3)", "with exit code 3"),
        ("os.abort()", "by signal 6 (SIGABRT)"),
        ("os.kill(os.getpid(), 9)", "by signal 9 (SIGKILL)"),
        ("os.kill(os.getpid(), 40)", "by signal 40"),
    ],
)
def test_how_a_child_ended_is_said(code: str, said: str) -> None:
    assert str(start(code).wait(nothing)) == said


def test_a_child_that_ends_before_it_is_asked_is_no_error() -> None:
    child = Watched([sys.executable, "-c", "0"], {"number": "7" * 60_000}, env=dict(os.environ))
    assert child.wait(nothing).code == 0


def test_what_a_look_raises_ends_the_child() -> None:
    child = start('os.write(answers, b"{}\\n")\n' + FOR_EVER)
    with pytest.raises(Enough):
        child.wait(until(lambda: bool(child.said)))
    assert not psutil.pid_exists(child.pid)


def test_what_the_child_started_ends_with_it(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    with os.fdopen(os.open(held, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        child = start(f"held = open({str(held)!r}, 'wb')\nif os.fork(): os.write(answers, b'{{}}\\n')\n{FOR_EVER}")
        with pytest.raises(Enough):
            child.wait(until(lambda: bool(child.said)))
        os.set_blocking(reader.fileno(), True)
        assert reader.read() == b""  # comes when nobody holds the other end


def test_a_child_that_closes_its_pipes_is_still_waited_for() -> None:
    assert start("os.closerange(0, 3); os.close(answers); os._exit(5)").wait(nothing).code == 5


def test_answers_that_are_no_json_are_not_heard_and_half_a_line_waits_for_its_end() -> None:
    child = start('os.write(answers, b"so what\\n{\\"a\\":"); os.write(answers, b" 1}\\n{\\"b\\"")')
    child.wait(nothing)
    assert child.said == [{"a": 1}]


def test_of_endless_printing_the_last_is_kept() -> None:
    ended = start('sys.stdout.write("x" * (1 << 20)); print("last words", flush=True); os.abort()').wait(nothing)
    assert ended.printed.endswith("last words\n")
    assert len(ended.printed) <= 1 << 17


def test_the_child_inherits_no_descriptor_but_its_own(tmp_path: Path) -> None:
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - its only argument
        child = start('os.write(answers, json.dumps({"open": os.listdir("/proc/self/fd")}).encode() + b"\\n")')
        child.wait(nothing)
        kept = {int(one) for one in child.said[0]["open"]}
        assert file.fileno() not in kept
    assert len(kept) == 5  # the three usual ones, the answers, and the folder that it lists


def test_no_signal_to_this_group_reaches_the_child() -> None:
    child = start('os.write(answers, json.dumps({"group": os.getpgrp()}).encode() + b"\\n")')
    child.wait(nothing)
    assert child.said[0]["group"] == child.pid != os.getpgrp()


def test_descriptors_are_given_back() -> None:
    start("sys.exit(0)").wait(nothing)
    before = psutil.Process().num_fds()
    for _ in range(5):
        start("sys.exit(0)").wait(nothing)
    assert psutil.Process().num_fds() == before


def test_a_process_that_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        Watched([str(tmp_path / "missing")], {}, env={})
    assert psutil.Process().num_fds() == before
