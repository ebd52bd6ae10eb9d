"""Negative controls of the laws on time, counters, resources and exit codes."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.checker.bounds import Ends, Resources, Shutdown, accounting, bounds, progress, shutdown, stable_moves
from tests.checker.history import Partition, Violation
from tests.checker.recorded_once import recorded_once

LANE = Partition("out", 0)
COUNTERS = {"predictions_produced_total": 6, "dead_letters_total": 1, "records_skipped_total": 1}


def laws(found: Iterable[Violation]) -> list[str]:
    return [one.law for one in found]


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
    assert laws(accounting(recorded_once(), [COUNTERS])) == []
    assert laws(accounting(recorded_once(), [COUNTERS | {"dead_letters_total": 2}])) == ["I11"]
    assert laws(accounting(recorded_once(), [COUNTERS, COUNTERS])) == ["I11"] * 3
    assert laws(accounting(replace(recorded_once(), dead_letters=[]), [COUNTERS])) == ["I11", "I11"]


@pytest.mark.parametrize("name", ["memory_bytes", "threads", "descriptors"])
def test_what_does_not_come_back_is_found(name: str) -> None:
    before = Resources(1_000, 20, 40)
    assert laws(bounds(before, before)) == []
    assert laws(bounds(before, replace(before, **{name: getattr(before, name) * 11 // 10}))) == ["I12"]


def test_a_drain_that_fails_or_lasts_is_found() -> None:
    assert laws(shutdown([Shutdown("a", 0, 2.0)], within_s=30.0)) == []
    assert laws(shutdown([Shutdown("a", -9, 2.0), Shutdown("b", 0, 31.0)], within_s=30.0)) == ["I13", "I13"]
