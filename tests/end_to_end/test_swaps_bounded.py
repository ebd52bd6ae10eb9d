"""What a worker holds does not grow with the number of versions it has served."""

from contextlib import closing

import pytest

from stream_infer.testing.models import write_mlp
from tests.checker.bounds import bounds
from tests.end_to_end.holding import held_by
from tests.end_to_end.job import CLASSES, WIDTH, JobMaker
from tests.end_to_end.rollouts import Paced, Rollout

PER_SECOND = 500
# About 9 MB of weights each: what a hundred swaps forget to give back would be plain to see.
SIZES = (WIDTH, 1500, 1500, CLASSES)
SETTLED_AFTER = 20
LOAD_EVERY_TIME = {"model": {"version": "1", "keep_previous_s": 0}}


@pytest.mark.parametrize(
    "swaps",
    [
        pytest.param(40, marks=pytest.mark.timeout(180)),
        pytest.param(1000, marks=[pytest.mark.rollouts_full, pytest.mark.timeout(1800)]),
    ],
)
def test_memory_threads_and_descriptors_come_back_after_many_swaps(make_job: JobMaker, swaps: int) -> None:
    job = make_job(settings=LOAD_EVERY_TIME)
    for version, seed in (("1", 0), ("2", 1)):
        made = write_mlp(job.repository, version=f"v{version}", sizes=SIZES, seed=seed, format="safetensors")
        job.knows(made)
    flow = Paced(job, per_second=PER_SECOND)
    with job.crew() as crew:
        rollout = Rollout(job, crew)
        with closing(rollout.statuses), flow.running():
            rollout.start("worker-a")
            rollout.until_serving("1")
            pid = rollout.names["worker-a"].process.pid
            swap(rollout, SETTLED_AFTER)
            before = held_by(pid)
            swap(rollout, swaps - SETTLED_AFTER)
            after = held_by(pid)
        crew.until_done()
        rollout.drain_all()
    print(f"after {SETTLED_AFTER} swaps: {before}; after {swaps}: {after}")
    assert list(bounds(before, after)) == []
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert len(history.rollouts) == swaps + 1


def swap(rollout: Rollout, times: int) -> None:
    """Roll two versions in turn, each as soon as the one before serves and was given back."""
    for number in range(times):
        new, old = ("v1", "v2") if number % 2 == 0 else ("v2", "v1")
        rollout.tell_version(new)
        rollout.until_serving(new)
        until_gone(rollout, old)


def until_gone(rollout: Rollout, version: str) -> None:
    rollout.until(lambda: rollout.state("worker-a", version) in {None, "GONE"}, f"{version} is gone")
