"""What a worker holds does not grow with the rebalances it has seen and the producers it has given up."""

import random
from pathlib import Path

import pytest

from tests.checker.bounds import bounds
from tests.end_to_end.holding import held_by
from tests.faults.field import Field, Slot, open_field

RATE = 500
FIRST, THEN = 5, 20


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_memory_threads_and_descriptors_come_back_after_many_rebalances_and_broken_connections(tmp_path: Path) -> None:
    with open_field("exactly_once_v2", rate=RATE, rng=random.Random(3), folder=tmp_path) as field:
        stays, leaves = field.slots.values()
        field.leave(leaves)
        disturb(field, stays, FIRST)
        before = held_by(stays.process.process.pid)
        disturb(field, stays, THEN)
        after = held_by(stays.process.process.pid)
        assert field.wrong_exits == []
    print(f"after {FIRST}: {before}; after {FIRST + THEN}: {after}")
    assert list(bounds(before, after)) == []


def disturb(field: Field, stays: Slot, times: int) -> None:
    """Let a worker come and go, and break the connections of the other off in between."""
    for _ in range(times):
        field.add()
        comes = list(field.slots.values())[-1]
        field.until(comes.is_at_work, what=f"{comes.name} scores")
        field.brokers.network.reset(stays.name)
        goal = field.until_ends()
        field.until(lambda: field.is_past(goal), what="the records are answered")  # noqa: B023 - used at once
        field.leave(comes)
    goal = field.until_ends()
    field.until(lambda: field.is_past(goal), what="the records are answered")
