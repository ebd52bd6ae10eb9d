"""Exactly once: what is done while the brokers have not answered a commit yet, and what waits for it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.stretch import TARGET_S
from stream_infer.records import Assigned, Partition
from stream_infer.testing.producer import Fate
from tests.pipeline.exact import FIRST, MEMBERSHIP, commit, owned, score
from tests.pipeline.scored import TOPIC, Ground

SECOND = Partition(TOPIC, 1)


@pytest.fixture
def calls() -> list[Mapping[Partition, int]]:
    """Hold what was committed at each model call."""
    return []


@pytest.fixture
def late(loaded: LoadedVersion, calls: list[Mapping[Partition, int]]) -> Ground:
    """Have two records in a transaction whose commit has begun and has no answer yet."""

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        calls.append(dict(ground.transactions.committed))
        return loaded.call(*tensors)

    ground = owned(replace(loaded, call=call))
    ground.transactions.is_late = True
    score(ground)
    commit(ground)
    assert ground.predictions() == []
    return ground


def test_the_next_batch_is_scored_during_a_commit_and_leaves_behind_it(
    late: Ground, calls: list[Mapping[Partition, int]]
) -> None:
    score(late, offset=2)
    assert calls[-1] == {}
    assert late.transactions.committed == {FIRST: 2}
    assert len(late.transactions.sent) == 2
    commit(late)
    late.transactions.answer()
    assert late.transactions.committed == {FIRST: 4}


def test_a_commit_that_is_over_is_counted_without_anything_new_and_made_once(late: Ground) -> None:
    assert late.metrics.totals().answered == 0
    late.transactions.answer()
    late.turn(2)
    assert late.metrics.totals().answered == 2
    late.inbox.put(told.Begin([]))
    late.turn()
    commit(late)
    late.transactions.answer()
    assert late.transactions.memberships == [MEMBERSHIP]


def test_what_follows_a_commit_that_fails_is_scored_again_with_what_was_in_it(late: Ground) -> None:
    late.transactions.fates.append(Fate.ROLLED_BACK)
    score(late, offset=2)
    late.turn(after_s=0.1)
    assert (late.transactions.aborts, late.committed.rewinds) == (1, 1)
    late.inbox.put(told.Rewound([Assigned(FIRST, 2, 0, committed=True)]))
    late.poll([late.value(1.0)] * 4, epoch=2)
    late.turn(2)
    commit(late)
    late.transactions.answer()
    assert late.transactions.committed == {FIRST: 4}
    assert late.intake.given[0] == 8


def test_a_commit_that_fails_is_known_without_anything_new(late: Ground) -> None:
    late.transactions.fates.append(Fate.ROLLED_BACK)
    late.transactions.answer()
    late.turn(2, after_s=0.1)
    assert (late.transactions.aborts, late.committed.rewinds) == (1, 1)


def test_a_loss_of_partitions_waits_for_the_commit_and_takes_nothing_along(late: Ground) -> None:
    late.inbox.put(told.Forget([FIRST]))
    late.turn()
    assert (len(late.predictions()), late.transactions.aborts) == (2, 0)


def test_partitions_that_come_do_not_wait_for_the_commit(late: Ground) -> None:
    late.inbox.put(told.Begin([Assigned(SECOND, 2, 0, committed=True)]))
    late.turn()
    assert late.predictions() == []
    late.poll([late.value(1.0)], partition=1, epoch=2)
    late.turn(2)
    commit(late)
    late.transactions.answer()
    assert late.transactions.committed == {FIRST: 2, SECOND: 1}


def test_a_revoke_is_answered_when_the_commit_is_over(late: Ground) -> None:
    answer = late.inbox.settle([FIRST], MEMBERSHIP)
    late.turn()
    assert answer.result(0) == {}
    assert late.transactions.committed == {FIRST: 2}


def test_a_drain_ends_when_the_commit_before_it_and_its_own_are_over(late: Ground) -> None:
    late.poll([late.value(1.0)], offset=2)
    answer = late.inbox.drain(MEMBERSHIP)
    late.turn()
    assert answer.result(0) == {}
    assert late.transactions.committed == {FIRST: 3}


def test_a_worker_that_gives_up_lets_the_commit_end_first(late: Ground) -> None:
    late.poll([late.value(1.0)], offset=1)
    with pytest.raises(Stop, match="delivered offset 1 again"):
        late.turn()
    assert late.transactions.committed == {FIRST: 2}


def test_a_producer_that_is_committing_is_not_looked_after(late: Ground) -> None:
    late.transactions.losses = 1
    late.turn(3, after_s=2.0)
    assert (late.predictions(), late.transactions.losses) == ([], 1)


def test_a_worker_that_gives_up_waits_for_no_commit_that_nobody_answers(loaded: LoadedVersion) -> None:
    ground = owned(loaded)
    ground.transactions.is_late = ground.transactions.is_stuck = True
    score(ground)
    commit(ground)
    ground.poll([ground.value(1.0)], offset=1)
    with pytest.raises(Stop, match="delivered offset 1 again"):
        ground.turn()
    assert (ground.predictions(), ground.transactions.aborts) == ([], 0)


def test_an_answer_is_as_old_as_it_was_when_its_commit_ended(late: Ground) -> None:
    # Two turns of a second ago; the fake says that it took no time.
    ended_s = late.clock.now_s - 2.0
    late.transactions.answer()
    late.turn(after_s=30.0)
    latency = next(family for family in late.metrics.registry.collect() if "end_to_end" in family.name)
    found = next(sample.value for sample in latency.samples if sample.name.endswith("_sum"))
    assert found == pytest.approx(sum(ended_s - stamp_s for stamp_s in (1.0, 1.001)))


def test_waiting_for_a_commit_makes_no_stretch_shorter(loaded: LoadedVersion) -> None:
    call_s, wait_s = 0.004, 5.0

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        ground.clock.now_s += call_s
        return loaded.call(*tensors)

    def wait() -> None:
        ground.clock.now_s += wait_s

    ground = owned(replace(loaded, call=call))
    ground.transactions.is_late, ground.transactions.waited_for = True, wait
    score(ground)
    commit(ground)
    score(ground, offset=2)
    assert ground.transactions.committed == {FIRST: 2}
    assert ground.scorer._path._stretch.rows == pytest.approx(2 * TARGET_S / call_s, abs=1)
