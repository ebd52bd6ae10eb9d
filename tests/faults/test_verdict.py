"""Negative controls of the judge: a sound run is sound, and each mutation of it is found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.checker.recorded import REFERENCES
from tests.faults.reader import differences
from tests.faults.verdict import Inputs, Judge, Verdict

EVENTS = 6
NULL, BAD = 2, 4


@dataclass(slots=True)
class Made:
    """A message of a topic; its value is the record itself, so that nothing is decoded."""

    at: int
    record: Mapping[str, Any] | None
    lane: int = 0
    named: list[tuple[str, bytes]] = field(default_factory=list)

    def partition(self) -> int:
        return self.lane

    def offset(self) -> int:
        return self.at

    def value(self) -> Any:
        return self.record

    def headers(self) -> list[tuple[str, bytes]]:
        return self.named


Topics = tuple[list[Made], list[Made], list[Made]]


def sound() -> Topics:
    """Return input, predictions and dead letters without a fault."""
    features = np.random.default_rng(1).normal(size=(EVENTS, 2)).astype(np.float32)
    scores = REFERENCES["1"].scores(features.tolist())
    inputs = [Made(row, {"features": features[row].tolist()}) for row in range(EVENTS)]
    inputs[NULL].record, inputs[BAD].record = None, {"features": [1.0]}
    answered = [row for row in range(EVENTS) if row not in {NULL, BAD}]
    predictions = [prediction(at, row, scores[row].tolist()) for at, row in enumerate(answered)]
    return inputs, predictions, [letter(0, BAD)]


def prediction(at: int, source: int, scores: list[float]) -> Made:
    record = {"source_partition": 0, "source_offset": source, "model_version": "1", "scores": scores}
    return Made(at, record)


def letter(at: int, source: int) -> Made:
    named = {"topic": b"in", "partition": b"0", "offset": b"%d" % source}
    return Made(at, {}, named=[("__streams.errors." + name, value) for name, value in named.items()])


def judged(topics: Topics) -> Verdict:
    inputs, predictions, letters = topics
    judge = Judge(Inputs(inputs, as_it_is, width=2), REFERENCES)  # type: ignore[arg-type] # made messages
    judge.predictions(predictions, as_it_is)  # type: ignore[arg-type] # as above
    judge.dead_letters(letters)  # type: ignore[arg-type] # as above
    return judge.end()


def as_it_is(value: Any) -> Mapping[str, Any]:
    record: Mapping[str, Any] = value
    return record


def test_a_sound_run_is_sound() -> None:
    verdict = judged(sound())
    assert verdict.broken(exactly_once=True) == []
    assert (verdict.records, verdict.skipped, verdict.predictions, verdict.dead_letters) == (6, 1, 4, 1)


def lose(topics: Topics) -> None:
    del topics[1][1]


def lose_letter(topics: Topics) -> None:
    topics[2].clear()


def repeat(topics: Topics) -> None:
    topics[1].append(Made(9, topics[1][-1].record))


def both(topics: Topics) -> None:
    topics[2].append(letter(1, 0))


def exchange(topics: Topics) -> None:
    topics[1][0].record, topics[1][1].record = topics[1][1].record, topics[1][0].record


def falsify(topics: Topics) -> None:
    topics[1][0].record = {**(topics[1][0].record or {}), "scores": [0.4, 0.6]}


def not_a_number(topics: Topics) -> None:
    topics[1][0].record = {**(topics[1][0].record or {}), "scores": [float("nan"), 0.0]}


def invent(topics: Topics) -> None:
    topics[1].append(prediction(9, EVENTS + 5, [0.5, 0.5]))


def refuse_a_sound_one(topics: Topics) -> None:
    del topics[1][0]
    topics[2].append(letter(1, 0))


def answer_null(topics: Topics) -> None:
    topics[2].append(letter(1, NULL))


@pytest.mark.parametrize(
    ("mutate", "found"),
    [
        (lose, "1 lost"),
        (lose_letter, "1 lost"),
        (repeat, "1 duplicated"),
        (both, "1 duplicated"),
        (exchange, "1 out of order"),
        (falsify, "1 wrong"),
        (not_a_number, "1 wrong"),
        (invent, "1 answers to nothing"),
        (answer_null, "1 answers to nothing"),
        (refuse_a_sound_one, "1 dead letters of sound records"),
    ],
)
def test_one_mutation_is_found(mutate: Callable[[Topics], None], found: str) -> None:
    topics = sound()
    mutate(topics)
    assert found in judged(topics).broken(exactly_once=True)


def test_a_repeated_answer_breaks_only_exactly_once() -> None:
    topics = sound()
    repeat(topics)
    assert judged(topics).broken(exactly_once=False) == []
    assert judged(topics).duplicated == 1


def test_a_reader_that_read_along_saw_what_is_there_afterwards() -> None:
    afterwards = {0: [(0, 11), (1, 22), (3, 33)]}
    assert differences({0: [(0, 11), (1, 22), (3, 33)]}, afterwards) == []
    assert differences({0: [(0, 11), (2, 99), (3, 33)]}, afterwards) == [
        "partition 0: a reader of committed records saw other ones at offset 2"
    ]
    assert len(differences({0: [(0, 11), (0, 11), (1, 22)]}, afterwards)) == 2


def test_a_reader_that_read_along_may_end_before_the_last_records_but_not_long_before() -> None:
    afterwards = {0: [(number, number) for number in range(20)]}
    assert differences({0: afterwards[0][:19]}, afterwards) == []
    assert differences({}, afterwards) == ["a reader of committed records saw 0 of 20 records"]
