"""A short selection of the faults, on the one broker of the tests: a worker dies at each step of the path."""

import random
import signal
from contextlib import closing
from pathlib import Path

from tests.end_to_end.job import JobMaker
from tests.faults.field import PARTITIONS, Field, settings
from tests.faults.flow import Flow
from tests.faults.runner import read_all
from tests.faults.worker import POINTS, TOLD

RATE = 400


def test_a_worker_that_dies_at_any_step_of_the_path_loses_nothing_and_answers_nothing_twice(
    make_job: JobMaker, tmp_path: Path
) -> None:
    rng = random.Random(7)
    job = make_job(partitions=PARTITIONS, settings=settings("exactly_once_v2"))
    flow = Flow(job, rate=RATE, rng=rng)
    with closing(Field(None, job, flow, rng, folder=tmp_path)) as field, flow.running():
        field.add()
        (slot,) = field.slots.values()
        for point in POINTS:
            done = field.until_ends()
            field.until(lambda: field.until_ends() != done, what="events wait")  # noqa: B023 - used at once
            slot.process.kill()
            field.restart(slot, point)
            goal = field.until_ends()
            field.until(lambda: field.is_past(goal), what=f"the worker scores that dies {point}")  # noqa: B023 - used at once
            slot.process.process.send_signal(TOLD)
            assert slot.process.wait() == -signal.SIGKILL
        flow.end()
        field.restart(slot)
        goal = field.until_ends()
        field.until(lambda: field.is_past(goal), what="everything is committed")
        field.leave(slot)
        assert field.wrong_exits == []
    judge, _ = read_all(job)
    assert judge.end().broken(exactly_once=True) == []
    assert judge.verdict.predictions == flow.sent
