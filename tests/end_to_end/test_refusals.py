"""What a person reads when the worker cannot start: one sentence that names the thing, and never a traceback."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from stream_infer.testing.kafka.properties import free_port
from tests.end_to_end.harness import FAUST_WORKER, WORKER, environment
from tests.end_to_end.job import Job, JobMaker

TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    took_s: float


def run(job: Job, command: Sequence[str], **settings: str) -> Ended:
    started_s = time.monotonic()
    ended = subprocess.run(
        command,
        env=environment(job.config, web_port=free_port()) | settings,
        cwd=job.folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - started_s)


def assert_refused(ended: Ended, code: int, *named: str) -> None:
    """Check the exit code, that one sentence names everything, and that no traceback is thrown at the reader."""
    assert "Traceback" not in ended.err + ended.out, ended.err
    assert [line for line in ended.err.splitlines() if all(name in line for name in named)], ended.err
    assert ended.code == code, ended.err


def assert_last_word(ended: Ended, *named: str) -> None:
    """Check that the sentence is the last line on standard error, where a person looks."""
    last = ended.err.splitlines()[-1]
    assert all(name in last for name in named), ended.err


COMMANDS = pytest.mark.parametrize("command", [WORKER, FAUST_WORKER], ids=["stream-infer", "faust"])


@COMMANDS
def test_a_missing_output_topic_is_named_with_the_command_that_makes_it(
    make_job: JobMaker, command: Sequence[str]
) -> None:
    ended = run(make_job(), command, STREAM_INFER_TOPICS__OUTPUT="no-such-topic")
    assert_refused(ended, 1, "no-such-topic", "stream-infer topics create")


def test_an_unreachable_broker_is_named_after_the_startup_timeout(make_job: JobMaker, nowhere: str) -> None:
    wait: Mapping[str, str] = {
        "STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS": nowhere,
        "STREAM_INFER_KAFKA__STARTUP_TIMEOUT_S": "2",
    }
    ended = run(make_job(), WORKER, **wait)
    assert_refused(ended, 1, nowhere, "2 s")
    assert_last_word(ended, nowhere)
    assert ended.took_s >= 2


@COMMANDS
def test_a_bad_setting_is_named_with_what_was_expected(make_job: JobMaker, command: Sequence[str]) -> None:
    ended = run(make_job(), command, STREAM_INFER_BATCHING__MAX_BATCH_SIZE="many")
    assert_refused(ended, 2, "max_batch_size", "many")


def test_an_unknown_setting_is_named_with_the_nearest_known_one(make_job: JobMaker) -> None:
    ended = run(make_job(), [*WORKER, "--set", "batching.max_bach_size=7"])
    assert_refused(ended, 2, "max_bach_size", "max_batch_size")


def test_a_missing_model_is_named_with_where_it_was_looked_for(make_job: JobMaker) -> None:
    ended = run(make_job(), WORKER, STREAM_INFER_MODEL__NAME="no-such-model")
    assert_refused(ended, 1, "no-such-model", "models")
    assert_last_word(ended, "no-such-model")
