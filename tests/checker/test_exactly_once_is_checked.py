"""Negative controls of what exactly once adds: a sound history holds, one mutation breaks the law that it should."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.checker.history import Commit, Fate, History, Partition, Place
from tests.checker.laws import check
from tests.checker.recorded import REFERENCES, UNDECODABLE
from tests.checker.recorded_once import (
    ABORTED,
    FIRST,
    GIVEN,
    SECOND,
    answered_again,
    recorded_once,
    refused_again,
    sent_back,
)

Mutate = Callable[[History], History]
FREE = Place("out", 0, 4)
"""Where nothing was written."""


def found(history: History, *, exactly_once: bool = True) -> list[str]:
    return [f"{one.law}: {one.found}" for one in check(history, REFERENCES, exactly_once=exactly_once)]


def uncommitted(history: History) -> History:
    last = history.observations[-1]
    less = {lane: offset - 1 for lane, offset in last.committed.items()}
    return replace(history, observations=[*history.observations[:-1], replace(last, committed=less)])


def with_along(history: History, *places: Place) -> History:
    return replace(history, along=[*history.along, *places])


def passed_over(history: History) -> History:
    return replace(history, along=[place for place in history.along if place != history.predictions[0].place])


def with_fate(history: History, fate: Fate) -> History:
    return replace(history, written=[history.written[0]._replace(fate=fate), *history.written[1:]])


def with_commit(history: History, offset: int, generation: int, producer: int, *, epoch: int = 0) -> History:
    return replace(history, commits=[*history.commits, Commit(GIVEN, offset, generation, producer, epoch)])


BROKEN: dict[str, tuple[str, Mutate]] = {
    "a position has two predictions": (
        "I2: .* has 2 predictions",
        lambda h: answered_again(h, h.predictions[0].source, FREE),
    ),
    "a position has two dead letters": ("I2: .* 2 dead letters and was sent back 0 times", refused_again),
    "a position has more dead letters than tries": (
        "I2: .* 3 dead letters and was sent back 1 times",
        lambda h: refused_again(refused_again(sent_back(h))),
    ),
    "a dead letter has a prediction and nobody sent it back": (
        "I2: .* as many dead letters as nobody sent back",
        lambda h: answered_again(h, UNDECODABLE, FREE),
    ),
    "a try has two predictions": (
        "I2: .* has 2 predictions",
        lambda h: answered_again(answered_again(sent_back(h), UNDECODABLE, FREE), UNDECODABLE, Place("out", 0, 9)),
    ),
    "a try has no answer": ("I1: .* sent back 1 times and has 1 answers", sent_back),
    "an answer is ahead of the committed position": ("I5: .* answered at .* and not committed", uncommitted),
    "a reader met a record twice": ("I2: .* came twice", lambda h: with_along(h, h.along[0])),
    "a reader met what is not there afterwards": ("I6: .* is not there afterwards", lambda h: with_along(h, FREE)),
    "a reader met what was aborted": ("I6: .* what was written there is aborted", lambda h: with_along(h, ABORTED)),
    "a reader was passed over": ("I1: .* never came to who read along", passed_over),
    "an aborted record is visible": ("I6: .* is aborted", lambda h: with_fate(h, "aborted")),
    "a record of an open transaction is visible": ("I6: .* is open", lambda h: with_fate(h, "open")),
    "a record is in no transaction": ("I6: .* is in no transaction", lambda h: with_fate(h, "in no transaction")),
    "a record was never written": ("I6: .* nowhere in the log", lambda h: replace(h, written=h.written[1:])),
    "the old owner commits after the new one": (
        "I7: .* by producer 11, .* is 12's",
        lambda h: with_commit(h, 4, 2, FIRST),
    ),
    "a fenced producer commits": (
        "I7: .* had fenced off",
        lambda h: with_commit(with_commit(h, 4, 3, SECOND, epoch=1), 4, 3, SECOND),
    ),
    "a committed position goes back": ("I5: 3 of .* committed after 4", lambda h: with_commit(h, 3, 2, SECOND)),
}


def test_a_sound_run_breaks_no_law_of_exactly_once() -> None:
    assert found(recorded_once()) == []


@pytest.mark.parametrize(("sentence", "mutate"), BROKEN.values(), ids=BROKEN)
def test_one_mutation_is_said_in_the_sentence_of_its_law(sentence: str, mutate: Mutate) -> None:
    assert any(re.match(sentence, one) for one in found(mutate(recorded_once())))


def test_an_answer_given_again_is_no_fault_of_at_least_once() -> None:
    again = answered_again(recorded_once(), recorded_once().predictions[0].source, FREE)
    assert found(again, exactly_once=False) == []


def test_a_record_that_is_sent_back_may_be_refused_again_or_answered_once() -> None:
    assert found(refused_again(sent_back(recorded_once()))) == []
    answered = found(answered_again(sent_back(recorded_once()), UNDECODABLE, FREE))
    assert {one.partition(":")[0] for one in answered} == {"I3"}  # the answer was made up


def test_a_partition_may_come_back_to_who_had_it_before_in_another_generation() -> None:
    assert found(with_commit(recorded_once(), 4, 3, FIRST, epoch=1)) == []


def test_who_reads_along_may_be_behind() -> None:
    lane = Partition("out", 0)
    behind = [place for place in recorded_once().along if place.lane != lane or place.offset < 2]
    assert found(replace(recorded_once(), along=behind)) == []
