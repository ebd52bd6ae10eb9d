"""Negative controls of the laws on time, counters, resources and exit codes, and of what exactly once adds."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.checker.bounds import Ends, Resources, Shutdown, accounting, bounds, progress, shutdown, stable_moves
from tests.checker.history import DeadLetter, History, Partition, Place, Prediction, Retry, Violation
from tests.checker.laws import check
from tests.checker.recorded import REFERENCES, UNDECODABLE, recorded

LANE = Partition("out", 0)
COUNTERS = {"predictions_produced_total": 6, "dead_letters_total": 1, "records_skipped_total": 1}


def laws(found: Iterable[Violation]) -> list[str]:
    return [one.law for one in found]


def done() -> History:
    """Return the recorded history with everything committed."""
    history = recorded()
    last = history.observations[-1]
    ends = {lane: sum(one.place.lane == lane for one in history.events) for lane in last.committed}
    return replace(history, observations=[*history.observations[:-1], replace(last, committed=ends)])


def again(history: History) -> History:
    first = history.predictions[0]
    return replace(history, predictions=[*history.predictions, first._replace(place=Place("out", 0, 77))])


def refused_again(history: History) -> History:
    return replace(history, dead_letters=[*history.dead_letters, DeadLetter(Place("dead", 0, 8), UNDECODABLE)])


def sent_back(history: History, times: int = 1) -> History:
    return replace(history, retries=[Retry(Place("retry", 0, number), UNDECODABLE) for number in range(times)])


def answered_later(history: History) -> History:
    """Answer the record that was refused, as after a replay; the reference model does not know its features."""
    later: Prediction = history.predictions[0]._replace(place=Place("out", 1, 88), source=UNDECODABLE)
    return replace(history, predictions=[*history.predictions, later])


def uncommitted(history: History) -> History:
    last = history.observations[-1]
    less = {lane: offset - 1 for lane, offset in last.committed.items()}
    return replace(history, observations=[*history.observations[:-1], replace(last, committed=less)])


def test_a_sound_run_breaks_no_law_of_exactly_once() -> None:
    assert check(done(), REFERENCES, exactly_once=True) == []


@pytest.mark.parametrize(
    ("mutate", "law"),
    [
        (again, "I2"),
        (refused_again, "I2"),
        (lambda history: refused_again(refused_again(sent_back(history))), "I2"),
        (answered_later, "I2"),
        (uncommitted, "I5"),
    ],
)
def test_one_mutation_breaks_exactly_once_and_not_at_least_once(mutate: Callable[[History], History], law: str) -> None:
    found = check(mutate(done()), REFERENCES, exactly_once=True)
    assert law in laws(found)


def test_a_record_that_is_sent_back_may_be_refused_again_or_answered_once() -> None:
    assert check(refused_again(sent_back(done())), REFERENCES, exactly_once=True) == []
    found = check(answered_later(sent_back(done())), REFERENCES, exactly_once=True)
    assert set(laws(found)) == {"I3"}  # the answer was made up


def test_what_stays_behind_an_open_transaction_too_long_is_found() -> None:
    moving = [Ends(float(second), high=100 + second, stable=90 + second) for second in range(40)]
    stuck = [Ends(float(second), high=100 + second, stable=90) for second in range(40)]
    idle = [Ends(float(second), high=90, stable=90) for second in range(40)]
    assert laws(stable_moves({LANE: moving}, within_s=19.0)) == []
    assert laws(stable_moves({LANE: idle}, within_s=19.0)) == []
    assert laws(stable_moves({LANE: stuck[:15]}, within_s=19.0)) == []
    assert laws(stable_moves({LANE: stuck}, within_s=19.0)) == ["I8"]


def test_a_fault_during_which_nothing_moves_is_found() -> None:
    assert laws(progress({"a kill": 100})) == []
    assert laws(progress({"a kill": 99, "a stop": 4_000})) == ["I9"]


def test_counters_that_do_not_add_up_are_found() -> None:
    assert laws(accounting(done(), [COUNTERS])) == []
    assert laws(accounting(done(), [COUNTERS | {"dead_letters_total": 2}])) == ["I11"]
    assert laws(accounting(done(), [COUNTERS, COUNTERS])) == ["I11"] * 3
    assert laws(accounting(replace(done(), dead_letters=[]), [COUNTERS])) == ["I11", "I11"]


@pytest.mark.parametrize("name", ["memory_bytes", "threads", "descriptors"])
def test_what_does_not_come_back_is_found(name: str) -> None:
    before = Resources(1_000, 20, 40)
    assert laws(bounds(before, before)) == []
    assert laws(bounds(before, replace(before, **{name: getattr(before, name) * 11 // 10}))) == ["I12"]


def test_a_drain_that_fails_or_lasts_is_found() -> None:
    assert laws(shutdown([Shutdown("a", 0, 2.0)], within_s=30.0)) == []
    assert laws(shutdown([Shutdown("a", -9, 2.0), Shutdown("b", 0, 31.0)], within_s=30.0)) == ["I13", "I13"]
