"""Negative controls: a small recorded history holds, and with one mutation the checker says which law broke."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.checker.history import DeadLetter, Event, History, Observation, Partition, Place, Prediction
from tests.checker.laws import check, duplicates, unanswered
from tests.checker.recorded import REFERENCES, recorded

Mutate = Callable[[History], History]


def laws_broken(history: History) -> set[str]:
    return {violation.law for violation in check(history, REFERENCES)}


def without_prediction(history: History, source: Place) -> History:
    return replace(history, predictions=[one for one in history.predictions if one.source != source])


def with_prediction(history: History, change: Callable[[Prediction], Prediction], *, at: int = 0) -> History:
    changed = [change(one) if row == at else one for row, one in enumerate(history.predictions)]
    return replace(history, predictions=changed)


def with_more(history: History, change: Callable[[Prediction], Prediction]) -> History:
    """Repeat the first prediction behind the last one, changed: what a crash may leave."""
    end = Place("out", 0, max(one.place.offset for one in history.predictions if one.place.partition == 0) + 1)
    return replace(history, predictions=[*history.predictions, change(history.predictions[0]._replace(place=end))])


def swapped(history: History) -> History:
    first, second, *rest = history.predictions
    return replace(history, predictions=[second, first, *rest])


def with_observation(history: History, change: Callable[[Observation], Observation], *, at: int) -> History:
    changed = [change(one) if row == at else one for row, one in enumerate(history.observations)]
    return replace(history, observations=changed)


def committed_early(history: History) -> History:
    lane = Partition("in", 0)
    return with_observation(history, lambda one: replace(one, committed={**one.committed, lane: 3}), at=0)


def committed_back(history: History) -> History:
    lane = Partition("in", 0)
    return with_observation(history, lambda one: replace(one, committed={**one.committed, lane: 1}), at=1)


def answered_null(history: History) -> History:
    null = next(event.place for event in history.events if event.skipped)
    return replace(history, dead_letters=[*history.dead_letters, DeadLetter(Place("dead", 0, 9), null)])


def refused_without_a_reason(history: History) -> History:
    source = history.predictions[0].source
    letter = DeadLetter(Place("dead", 0, 9), source, version="1")
    return replace(without_prediction(history, source), dead_letters=[*history.dead_letters, letter])


def answered_undecodable(history: History) -> History:
    bad = next(event for event in history.events if event.features is None and not event.skipped)
    more = history.predictions[0]._replace(source=bad.place, place=Place("out", 1, 99))
    return replace(history, predictions=[*history.predictions, more], dead_letters=[])


CAUGHT: list[tuple[str, str, Mutate]] = [
    ("an answer is missing", "I1", lambda h: without_prediction(h, h.predictions[0].source)),
    ("a dead letter is missing", "I1", lambda h: replace(h, dead_letters=[])),
    ("a null value is answered", "I1", answered_null),
    ("a second answer has other scores", "I2", lambda h: with_more(h, lambda one: one._replace(scores=[0.5, 0.5]))),
    ("a second answer has another class", "I2", lambda h: with_more(h, lambda one: one._replace(prediction=None))),
    (
        "a prediction and a dead letter answer one record",
        "I2",
        lambda h: replace(h, dead_letters=[*h.dead_letters, DeadLetter(Place("dead", 0, 9), h.predictions[0].source)]),
    ),
    ("scores differ a little", "I3", lambda h: with_prediction(h, lambda one: one._replace(scores=[0.501, 0.499]))),
    ("scores are too few", "I3", lambda h: with_prediction(h, lambda one: one._replace(scores=[1.0]))),
    ("another class is named", "I3", lambda h: with_prediction(h, lambda one: one._replace(prediction=9.0))),
    ("the confidence is not the winner's", "I3", lambda h: with_prediction(h, lambda o: o._replace(confidence=0.1))),
    ("another key", "I3", lambda h: with_prediction(h, lambda one: one._replace(key=b"another"))),
    ("another timestamp", "I3", lambda h: with_prediction(h, lambda one: one._replace(timestamp_ms=1))),
    ("another event's id", "I3", lambda h: with_prediction(h, lambda one: one._replace(event_id="another"))),
    ("an answer to nothing", "I3", lambda h: with_more(h, lambda one: one._replace(source=Place("in", 7, 7)))),
    ("a score for what nobody can read", "I3", answered_undecodable),
    ("a dead letter for what its version can score", "I3", refused_without_a_reason),
    ("two answers change places", "I4", swapped),
    ("an offset is committed before its answer", "I5", committed_early),
    ("a version that nobody made", "I3", lambda h: with_prediction(h, lambda one: one._replace(version="9"))),
    ("another version's scores", "I3", lambda h: with_prediction(h, lambda one: one._replace(version="2"))),
    ("a committed offset goes back", "I5", committed_back),
]


def test_a_history_without_a_fault_breaks_no_law() -> None:
    assert check(recorded(), REFERENCES) == []
    assert unanswered(recorded()) == []


@pytest.mark.parametrize(("law", "mutate"), [row[1:] for row in CAUGHT], ids=[row[0] for row in CAUGHT])
def test_one_mutation_is_caught_by_its_law(law: str, mutate: Mutate) -> None:
    assert law in laws_broken(mutate(recorded()))


def test_a_repeated_answer_is_no_fault_of_at_least_once_and_is_counted() -> None:
    repeated = with_more(recorded(), lambda one: one)
    assert check(repeated, REFERENCES) == []
    assert duplicates(repeated) == 1
    assert duplicates(recorded()) == 0


def test_a_record_that_no_version_can_score_may_have_a_dead_letter() -> None:
    source = recorded().predictions[0].source
    events = [event._replace(features=[np.nan, 1.0]) if event.place == source else event for event in recorded().events]
    assert "I3" not in laws_broken(replace(refused_without_a_reason(recorded()), events=events))


def test_a_version_that_nobody_told_of_may_refuse_what_it_wants() -> None:
    *others, last = refused_without_a_reason(recorded()).dead_letters
    history = replace(refused_without_a_reason(recorded()), dead_letters=[*others, last._replace(version="broken")])
    assert "I3" not in laws_broken(history)


def test_what_nobody_committed_may_still_wait_and_is_listed() -> None:
    late = Event(Place("in", 0, 50), b"k", 0, skipped=False, event_id="late", features=[1.0, 2.0])
    history = replace(recorded(), events=[*recorded().events, late])
    assert check(history, REFERENCES) == []
    assert unanswered(history) == [late.place]
