"""`stream-infer rollout` from outside, against two workers under load."""

import json
import subprocess
from collections.abc import Sequence

from tests.checker.history import CANARY
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.harness import SCRIPTS, environment
from tests.end_to_end.job import Job, JobMaker
from tests.end_to_end.rollouts import Rollout, rolling

PER_SECOND = 1000
COMMAND_TIMEOUT_S = 270
WAIT = ("--wait", "--timeout", "240")


def begin(job: Job, *words: str) -> "subprocess.Popen[str]":
    """Start `stream-infer rollout ...` with the job's settings."""
    return subprocess.Popen(
        [str(SCRIPTS / "stream-infer"), "rollout", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=job.folder,
        env=environment(job.config),
    )


def run(job: Job, *words: str, ends: int = 0) -> str:
    """Run a command to its end, which must be `ends`, and return its standard output."""
    process = begin(job, *words)
    out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
    assert process.returncode == ends, f"{words} ended with {process.returncode}: {out}\n{err}"
    return out


def run_all(job: Job, commands: Sequence[Sequence[str]]) -> list[int]:
    """Run commands at the same time and return how each ended."""
    processes = [begin(job, *words) for words in commands]
    for process in processes:
        process.communicate(timeout=COMMAND_TIMEOUT_S)
    return [process.returncode for process in processes]


def until_seen(rollout: Rollout, version: str, variant: str) -> None:
    """Return when every worker says so under the revision that the log has come to."""
    rollout.revision = rollout.job.history().rollouts[-1].revision
    rollout.until_serving(version, variant=variant)


def served(job: Job) -> list[tuple[str, str | None]]:
    """Return stable and canary of the newest desired state."""
    newest = job.history().rollouts[-1]
    return [(newest.stable, newest.canary.version if newest.canary else None)]


def test_an_operator_starts_a_version_withdraws_a_bad_one_runs_a_canary_and_rolls_back(make_job: JobMaker) -> None:
    job = make_job(versions={"1": 0, "2": 1, "3": 2})
    bad.write_wrong_golden(job.repository, "broken")
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        run(job, "start", "--version", "2", "--reason", "better", *WAIT)
        assert served(job) == [("2", None)]
        run(job, "start", "--version", "broken", *WAIT, ends=1)
        assert served(job) == [("2", None)]
        run(job, "canary", "--version", "3", "--percent", "20", "--wait")
        until_seen(rollout, "3", CANARY)
        rollout.until_more_answers(PER_SECOND)
        run(job, "promote", "--wait")
        assert served(job) == [("3", None)]
        run(job, "rollback", "--wait")
        assert served(job) == [("2", None)]
        status = json.dumps(json.loads(run(job, "status", "--json")))
        assert all(f'"{name}"' in status for name in rollout.names)
        assert "better" in run(job, "history")


def test_of_two_operators_at_once_exactly_one_wins(make_job: JobMaker) -> None:
    job = make_job(versions={"1": 0, "2": 1, "3": 2})
    with rolling(job, "worker-a", "worker-b", per_second=PER_SECOND) as rollout:
        ended = run_all(job, [("start", "--version", version, *WAIT) for version in ("2", "3")])
        assert sorted(ended) == [0, 1]
        winner = ("2", "3")[ended.index(0)]
        assert served(job) == [(winner, None)]
        until_seen(rollout, winner, "stable")
