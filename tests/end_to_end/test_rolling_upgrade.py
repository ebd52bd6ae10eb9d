"""Workers are replaced one by one by others that take a minute to load, and no partition waits for that."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise

import pytest

from tests.checker.history import History
from tests.checker.laws import unanswered
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.job import JobMaker, Settings
from tests.end_to_end.rollouts import Paced, Rollout

LOAD_S = 60.0
START_S = 3 * LOAD_S
PARTITIONS = 6
PER_SECOND = 300
LONGEST_PAUSE_S = 5.0
VERSION = "slow"
SETTINGS: Settings = {
    "model": {"version": VERSION},
    "delivery": {"processing_guarantee": "exactly_once_v2", "commit_interval_ms": 100},
}


def longest_pauses_s(history: History) -> Mapping[int, float]:
    """Return, for each source partition, the longest time between two batches that answered its records."""
    moments = defaultdict(list)
    for one in history.predictions:
        moments[one.source.partition].append(one.inferred_at_us)
    return {
        partition: max(later - earlier for earlier, later in pairwise(sorted(times))) / 1e6
        for partition, times in moments.items()
    }


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_workers_that_load_for_a_minute_replace_others_and_no_partition_waits(make_job: JobMaker) -> None:
    job = make_job(partitions=PARTITIONS, versions={"other": 5}, settings=SETTINGS)
    job.knows(bad.write_slow_to_load(job.repository, VERSION, seconds=LOAD_S))
    flow = Paced(job, per_second=PER_SECOND)
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        with closing(rollout.statuses):
            rollout.start("old-a", "old-b")
            until_all_serve(rollout)
            with flow.running():
                for old, new in (("old-a", "new-a"), ("old-b", "new-b")):
                    rollout.until_more_answers(PER_SECOND)
                    rollout.start(new)
                    until_all_serve(rollout)
                    rollout.until_more_answers(2 * PER_SECOND)
                    assert crew.drain(rollout.names.pop(old)) == 0
                rollout.until_more_answers(5 * PER_SECOND)
            crew.until_done()
            rollout.drain_all()
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    pauses_s = longest_pauses_s(history)
    print(f"longest pauses: {pauses_s}")
    assert len(pauses_s) == PARTITIONS
    assert max(pauses_s.values()) < LONGEST_PAUSE_S


def until_all_serve(rollout: Rollout) -> None:
    """Return when every worker says that it serves."""
    rollout.crew.until(
        lambda: (
            bool(rollout.statuses.refresh()) and all(rollout.state(name, VERSION) == "ACTIVE" for name in rollout.names)
        ),
        within_s=START_S,
        what="every worker serves",
    )
