"""Exactly once: what the scorer does with transactions that are committed, rolled back, or of which nobody knows."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stream_infer.model import LoadedVersion
from stream_infer.pipeline import inbox as told
from stream_infer.records import Assigned, Partition
from stream_infer.testing.producer import Fate
from tests.pipeline.exact import FIRST, MEMBERSHIP, commit, owned, score
from tests.pipeline.scored import TIMEOUT_S, TOPIC, Ground, write_lookup


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return owned(write_lookup(tmp_path))


def test_nothing_is_seen_before_the_commit_and_everything_with_its_positions_after_it(ground: Ground) -> None:
    score(ground)
    assert (ground.predictions(), ground.transactions.committed) == ([], {})
    commit(ground)
    assert len(ground.predictions()) == 2
    assert ground.transactions.committed == {FIRST: 2}
    assert ground.transactions.memberships == [MEMBERSHIP]
    assert ground.committed.commits == []


def test_without_a_membership_nothing_is_committed_and_at_last_it_is_rolled_back(ground: Ground) -> None:
    score(ground)
    ground.turn(3, after_s=1.0)
    assert ground.transactions.memberships == []
    ground.turn(1, after_s=TIMEOUT_S)
    assert ground.transactions.aborts == 1
    ground.turn(2, after_s=0.1)
    assert ground.committed.rewinds == 1


def test_after_a_rollback_everything_is_dropped_until_the_rewind_and_then_scored_once(ground: Ground) -> None:
    ground.transactions.fates.append(Fate.ROLLED_BACK)
    score(ground)
    commit(ground)
    assert ground.transactions.aborts == 1
    score(ground, offset=2)
    ground.inbox.put(told.Begin([Assigned(Partition(TOPIC, 1), 2, 0, committed=True)]))
    ground.poll([ground.value(5.0)], partition=1, epoch=2)
    ground.turn(2)
    assert ground.committed.rewinds == 1
    assert ground.transactions.sent == []
    ground.inbox.put(told.Rewound([Assigned(FIRST, 3, 0, committed=True)]))
    score(ground, epoch=3)
    commit(ground)
    assert len(ground.predictions()) == 2
    assert ground.transactions.committed == {FIRST: 2}
    assert ground.intake.given[0] == 7


def test_after_a_rollback_the_first_transaction_is_kept_open_over_no_second_call(ground: Ground) -> None:
    ground.transactions.fates.append(Fate.ROLLED_BACK)
    score(ground)
    commit(ground)
    ground.turn(2)
    ground.inbox.put(told.Rewound([Assigned(FIRST, 3, 0, committed=True)]))
    ground.poll([ground.value(1.0)] * 8, epoch=3)
    ground.turn()
    ground.poll([ground.value(1.0)] * 8, offset=8, epoch=3)
    ground.turn(2)
    assert len(ground.transactions.sent) == 8
    ground.inbox.put(told.Member(MEMBERSHIP))
    ground.turn()
    assert ground.transactions.committed == {FIRST: 8}
    ground.inbox.put(told.Member(MEMBERSHIP))
    ground.turn(3)
    assert len(ground.transactions.sent) == 8


@pytest.mark.parametrize("fate", [Fate.UNKNOWN_DONE, Fate.UNKNOWN_ROLLED_BACK])
def test_where_nobody_knows_the_next_transaction_waits_for_another_producer(ground: Ground, fate: Fate) -> None:
    ground.transactions.fates.append(fate)
    score(ground)
    commit(ground)
    start = ground.transactions.committed.get(FIRST, 0)
    ground.inbox.put(told.Rewound([Assigned(FIRST, 2, start, committed=True)]))
    ground.turn()
    if start == 0:
        score(ground, epoch=2)
        commit(ground)
    assert len(ground.predictions()) == 2
    assert ground.transactions.committed == {FIRST: 2}


def test_a_revoke_commits_with_the_membership_that_came_with_it(ground: Ground) -> None:
    score(ground)
    answer = ground.inbox.settle([FIRST], MEMBERSHIP)
    ground.turn()
    assert answer.result() == {}
    assert ground.transactions.committed == {FIRST: 2}


def test_a_revoke_whose_commit_is_rolled_back_is_answered_and_nothing_is_seen(ground: Ground) -> None:
    ground.transactions.fates.append(Fate.ROLLED_BACK)
    score(ground)
    answer = ground.inbox.settle([FIRST], MEMBERSHIP)
    ground.turn()
    assert answer.result() == {}
    assert (ground.predictions(), ground.transactions.committed) == ([], {})


def test_a_revoke_of_one_that_is_no_member_any_more_rolls_back(ground: Ground) -> None:
    score(ground)
    ground.inbox.settle([FIRST], None)
    ground.turn()
    assert ground.transactions.aborts == 1


def test_partitions_that_are_lost_take_the_transaction_with_them(ground: Ground) -> None:
    score(ground)
    ground.inbox.put(told.Forget([FIRST]))
    commit(ground)
    assert (ground.predictions(), ground.transactions.aborts) == ([], 1)


def test_a_membership_from_before_an_assignment_is_asked_for_again(ground: Ground) -> None:
    score(ground)
    ground.inbox.put(told.Member(MEMBERSHIP))
    ground.inbox.put(told.Begin([]))
    asked = ground.committed.asked
    ground.turn(3, after_s=1.0)
    assert ground.transactions.memberships == []
    assert ground.committed.asked > asked


def test_a_drain_commits_or_rolls_back_and_ends(ground: Ground) -> None:
    ground.transactions.fates.append(Fate.ROLLED_BACK)
    ground.poll([ground.value(1.0)])
    answer = ground.inbox.drain(MEMBERSHIP)
    ground.turn()
    assert answer.result() == {}
    assert ground.scorer.ended
    assert ground.predictions() == []


def test_a_drain_that_takes_longer_than_a_transaction_commits_on_the_way(loaded: LoadedVersion) -> None:
    slow = Slow(loaded, call_s=TIMEOUT_S * 0.6)
    slow.poll(rows=40)
    answer = slow.ground.inbox.drain(MEMBERSHIP)
    slow.ground.turn()
    assert answer.result() == {}
    assert slow.ground.transactions.committed == {FIRST: 40}
    assert slow.longest_open_s < TIMEOUT_S


@pytest.mark.parametrize("call_s", [0.5, 1.5, 3.0, 6.0, 11.0])
def test_calls_of_any_length_are_committed_before_the_broker_would_end_their_transaction(
    loaded: LoadedVersion, call_s: float
) -> None:
    slow = Slow(loaded, call_s=call_s)
    for _ in range(12):
        slow.poll(rows=16)
        slow.turn()
    assert slow.ground.transactions.aborts == 0
    assert slow.ground.transactions.committed[FIRST] >= 40
    assert slow.longest_open_s < TIMEOUT_S


class Slow:
    """A model whose calls take a time, a backlog, and a consumer thread that answers while a call is under way."""

    def __init__(self, loaded: LoadedVersion, *, call_s: float) -> None:
        self._inner = loaded.call
        self._call_s = call_s
        self._asked = 0
        self._next = 0
        self._opened_s: float | None = None
        self.longest_open_s = 0.0
        self.ground = Ground(replace(loaded, call=self._call, version="slow"), exactly_once=True)
        self.ground.inbox.put(told.Begin([Assigned(FIRST, 1, 0, committed=True)]))

    def poll(self, *, rows: int) -> None:
        self.ground.poll([self.ground.value(1.0)] * rows, offset=self._next)
        self._next += rows

    def turn(self) -> None:
        """Let the scorer turn for a second in which the consumer thread answers once, or for one call."""
        for _ in range(20):
            self.ground.turn(after_s=0.05)
            self._note_open()
        self._answer()

    def _call(self, *tensors: torch.Tensor) -> torch.Tensor:
        self._note_open()
        self.ground.clock.now_s += self._call_s
        self._note_open()
        self._answer()
        return self._inner(*tensors)

    def _answer(self) -> None:
        if self.ground.committed.asked > self._asked:
            self._asked = self.ground.committed.asked
            self.ground.inbox.put(told.Member(MEMBERSHIP))

    def _note_open(self) -> None:
        now_s = self.ground.clock.now_s
        if not self.ground.transactions.is_open:
            self._opened_s = None
            return
        self._opened_s = now_s if self._opened_s is None else self._opened_s
        self.longest_open_s = max(self.longest_open_s, now_s - self._opened_s)


def test_a_start_that_nobody_committed_is_committed_without_any_record(ground: Ground) -> None:
    ground.inbox.put(told.Begin([Assigned(Partition(TOPIC, 1), 2, 5, committed=False)]))
    ground.turn()
    commit(ground)
    assert ground.transactions.committed == {Partition(TOPIC, 1): 5}


def test_a_version_is_warmed_between_transactions_only(ground: Ground, loaded: LoadedVersion) -> None:
    calls: list[bool] = []
    inner = loaded.call

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        calls.append(ground.transactions.is_open)
        return inner(*tensors)

    warm = ground.inbox.warm(replace(loaded, version="2", call=call))
    score(ground)
    assert calls == [False] * len(calls)
    commit(ground)
    ground.turn(20)
    assert warm.done()
    assert calls
    assert not any(calls)


def test_a_version_is_warmed_between_transactions_of_a_stream_that_never_pauses(loaded: LoadedVersion) -> None:
    calls: list[bool] = []
    inner = loaded.call

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        busy.clock.now_s += 0.004
        return inner(*tensors)

    def warmed(*tensors: torch.Tensor) -> torch.Tensor:
        calls.append(busy.transactions.is_open)
        return inner(*tensors)

    busy = owned(replace(loaded, call=call))
    warm = busy.inbox.warm(replace(loaded, version="2", call=warmed))
    for number in range(4_000):
        busy.poll([busy.value(1.0)] * 8, offset=8 * number)
        busy.inbox.put(told.Member(MEMBERSHIP))
        busy.turn(after_s=0.001)
    assert warm.done()
    assert calls
    assert not any(calls)
    assert busy.transactions.aborts == 0
