"""Exactly once: answers that wait for a commit, while full batches behind them are scored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.stretch import TARGET_S
from stream_infer.records import Assigned, Partition
from tests.pipeline.exact import FIRST, MEMBERSHIP, commit, owned, score
from tests.pipeline.rolled import Watching, named, with_canary
from tests.pipeline.scored import KNOWN, Ground

SIZE = 8
STRETCH = 48
"""Rows of the full batches that go together: at most a fourth of the queue's limit of 200."""
CALLS = STRETCH // SIZE
MORE = 2 * STRETCH + SIZE


@dataclass
class Calls:
    """What happens at each call of the model, and how many rows the producer held when it began."""

    at_call: Callable[[], None] = lambda: None
    held: list[int] = field(default_factory=list)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def late(loaded: LoadedVersion, calls: Calls) -> Ground:
    """Have two records in a transaction whose commit has begun and has no answer yet."""

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        calls.held.append(len(ground.transactions.sent))
        calls.at_call()
        return loaded.call(*tensors)

    ground = owned(replace(loaded, call=call))
    ground.transactions.is_late = True
    score(ground)
    commit(ground)
    calls.held.clear()
    return ground


@pytest.fixture
def ahead(late: Ground) -> Ground:
    """Have scored a stretch of full batches behind the commit, with more than another waiting."""
    return score_ahead(late, MORE)


def score_ahead(late: Ground, rows: int) -> Ground:
    late.poll([late.value(1.0)] * rows, offset=2)
    late.turn()
    assert (late.transactions.committed, len(late.transactions.sent)) == ({}, 2)
    return late


def score_and_commit_late(late: Ground) -> None:
    """Have another two records in a transaction whose commit has begun and has no answer yet."""
    score(late, offset=2)
    commit(late)
    assert late.transactions.committed == {FIRST: 2}


def fail_whatever_is_asked() -> None:
    raise RuntimeError("no kernel image is available")


def settled(ground: Ground) -> dict[Partition, int]:
    """Commit what was sent, and return what is committed then."""
    commit(ground)
    ground.transactions.answer()
    return ground.transactions.committed


def test_one_stretch_waits_for_the_commit_while_the_next_is_scored(ahead: Ground, calls: Calls) -> None:
    ahead.turn()
    assert calls.held == [2] * 2 * CALLS
    assert ahead.transactions.committed == {FIRST: 2}
    assert len(ahead.transactions.sent) == 2 * STRETCH
    assert settled(ahead) == {FIRST: 2 + 2 * STRETCH}
    assert [one["source_offset"] for one in ahead.predictions()] == list(range(2 + 2 * STRETCH))


def test_they_are_not_said_to_be_held_back(ahead: Ground) -> None:
    assert ahead.scorer.held_records == 0
    assert ahead.intake.given[0] == 2


def test_they_leave_before_the_next_call_once_the_commit_is_over(ahead: Ground, calls: Calls) -> None:
    ahead.transactions.answer()
    ahead.turn()
    assert calls.held == [2] * CALLS + [STRETCH] * CALLS


def test_a_first_call_of_another_version_does_not_come_before_them(
    ahead: Ground, calls: Calls, loaded: LoadedVersion
) -> None:
    ahead.transactions.answer()
    sent: list[int] = []

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        sent.append(len(ahead.transactions.sent))
        return loaded.call(*tensors)

    ahead.inbox.warm(replace(loaded, version="2", call=call))
    while not sent:
        ahead.turn(after_s=0.2)
        ahead.inbox.put(told.Member(MEMBERSHIP))
    assert sent[0] >= 2 * STRETCH


def test_without_full_batches_behind_them_they_wait_for_the_commit_and_nothing_else(late: Ground) -> None:
    late.poll([late.value(1.0)] * (STRETCH + SIZE - 1), offset=2)
    late.turn()
    assert (late.transactions.committed, len(late.transactions.sent)) == ({FIRST: 2}, STRETCH)


def test_where_calls_take_long_they_wait_for_the_commit_alone(late: Ground, calls: Calls) -> None:
    def take_long() -> None:
        late.clock.now_s += 1.1 * TARGET_S

    calls.at_call = take_long
    score_and_commit_late(late)
    late.poll([late.value(1.0)] * MORE, offset=4)
    late.turn()
    assert (late.transactions.committed, len(late.transactions.sent)) == ({FIRST: 4}, SIZE)


def test_a_canary_s_batches_do_not_wait_behind_each_other(late: Ground, loaded: LoadedVersion) -> None:
    guard = Watching()
    late.inbox.serve(with_canary(1, loaded, named(loaded, "2"), percent=100, guard=guard))
    score_and_commit_late(late)
    late.poll([late.value(1.0)] * MORE, offset=4)
    late.turn()
    assert (late.transactions.committed, len(late.transactions.sent)) == ({FIRST: 4}, SIZE)
    assert len(guard.noted) == 2


def test_they_are_settled_when_nothing_else_is_in_hand(ahead: Ground) -> None:
    answer = ahead.inbox.settle([FIRST], MEMBERSHIP)
    ahead.turn()
    assert answer.result(0) == {}
    assert ahead.transactions.committed == {FIRST: 2 + STRETCH}


@pytest.mark.parametrize("refusals", [0, 1])
def test_a_drain_takes_them_along_whether_or_not_the_registry_answers(late: Ground, refusals: int) -> None:
    score_ahead(late, MORE)
    late.decoder.refusals = refusals
    answer = late.inbox.drain(MEMBERSHIP)
    late.turn()
    assert answer.result(0) == {}
    assert late.transactions.committed == {FIRST: 2 + (STRETCH if refusals else MORE)}


def test_they_do_not_wait_for_the_registry(ahead: Ground) -> None:
    ahead.decoder.refusals = 1
    ahead.turn(2)
    assert (ahead.transactions.committed, len(ahead.transactions.sent)) == ({FIRST: 2}, STRETCH)


def test_they_are_not_sent_when_their_partition_is_lost(ahead: Ground) -> None:
    ahead.inbox.put(told.Forget([FIRST]))
    ahead.turn(4)
    assert (len(ahead.predictions()), ahead.transactions.sent) == (2, [])
    assert ahead.intake.given[0] == 2 + MORE


def test_they_are_not_sent_when_their_partition_begins_anew(ahead: Ground) -> None:
    ahead.inbox.put(told.Begin([Assigned(FIRST, 2, 0, committed=False)]))
    ahead.turn(4)
    assert len(ahead.transactions.sent) == 2
    assert ahead.intake.given[0] == 2 + MORE


@pytest.mark.parametrize("bad", [KNOWN + 5.0, 3.0], ids=["the model fails", "no number"])
def test_what_is_refused_behind_them_does_not_hold_them_back(late: Ground, bad: float) -> None:
    late.poll([late.value(1.0)] * STRETCH + [late.value(bad)] * STRETCH + [late.value(1.0)] * SIZE, offset=2)
    late.turn(2)
    assert late.scorer.stopped is not None
    assert (late.transactions.committed, len(late.transactions.sent)) == ({FIRST: 2}, STRETCH)


def test_a_model_that_breaks_behind_them_does_not_take_them_back(ahead: Ground, calls: Calls) -> None:
    calls.at_call = fail_whatever_is_asked
    ahead.turn()
    assert ahead.scorer.stopped is not None
    assert (ahead.transactions.committed, len(ahead.transactions.sent)) == ({FIRST: 2}, STRETCH)


def test_a_model_that_breaks_while_their_transaction_breaks_off_loses_nothing(ahead: Ground, calls: Calls) -> None:
    calls.at_call = fail_whatever_is_asked
    ahead.transactions.breaks = 1
    ahead.turn()
    assert ahead.transactions.aborts == 1
    assert ahead.intake.given[0] == 2 + MORE


def test_a_version_that_serves_from_now_on_scores_them_again_once(ahead: Ground, loaded: LoadedVersion) -> None:
    ahead.inbox.serve(Serving(1, named(loaded, "2")))
    ahead.turn(4)
    assert settled(ahead) == {FIRST: 2 + MORE}
    assert [one["source_offset"] for one in ahead.predictions()] == list(range(2 + MORE))
