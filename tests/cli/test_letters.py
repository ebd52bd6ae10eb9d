"""Which dead letters a replay sends: each once an attempt, and none that cannot be scored as it lies there."""

from dataclasses import replace

import pytest

from stream_infer.cli.letters import Letter, Selection
from stream_infer.cli.replay import Chooser, Replayed
from stream_infer.records import Partition, Place

ORIGIN = Place(Partition("events", 1), 40)
LETTER = Letter(
    place=Place(Partition("dead", 0), 3),
    origin=ORIGIN,
    reason="non_finite",
    stage="infer",
    message="the model's scores hold NaN",
    model_version="1",
    attempt=0,
    omitted_bytes=None,
    key=b"k",
    value=b"v",
    timestamp_ms=1_000,
    headers=[
        ("trace", b"abc"),
        ("stream_infer.attempt", b"1"),
        ("__streams.errors.topic", b"events"),
        ("stream_infer.stage", b"infer"),
    ],
)


def test_a_letter_goes_once_however_often_it_was_written() -> None:
    chooser = Chooser([], max_attempts=3)
    assert chooser.refusal(LETTER) is None
    assert chooser.refusal(replace(LETTER, place=Place(Partition("dead", 0), 9))) == "replayed already"


def test_what_the_retry_topic_holds_is_not_sent_again_but_the_next_attempt_is() -> None:
    chooser = Chooser([(ORIGIN, 1)], max_attempts=3)
    assert chooser.refusal(LETTER) == "replayed already"
    assert chooser.refusal(replace(LETTER, attempt=1)) is None


def test_attempts_have_an_end() -> None:
    chooser = Chooser([], max_attempts=2)
    assert chooser.refusal(replace(LETTER, attempt=1)) is None
    assert chooser.refusal(replace(LETTER, attempt=2)) == "tried 2 times already (--max-attempts)"


@pytest.mark.parametrize(("change", "why"), [({"origin": None}, "no worker"), ({"omitted_bytes": 9}, "too large")])
def test_what_is_not_whole_is_left(change: dict[str, int | None], why: str) -> None:
    assert why in str(Chooser([], max_attempts=3).refusal(replace(LETTER, **change)))  # type: ignore[arg-type] # one of two fields


def test_the_headers_that_the_record_came_with_are_told_from_those_of_the_letter() -> None:
    assert LETTER.own_headers == [("trace", b"abc"), ("stream_infer.attempt", b"1")]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(reasons=("non_finite", "too_large")), True),
        (Selection(reasons=("too_large",)), False),
        (Selection(partition=0), True),
        (Selection(partition=1), False),
        (Selection(partition=0, offset=3), True),
        (Selection(partition=0, offset=4), False),
    ],
)
def test_a_selection_takes_what_all_of_it_says(selection: Selection, *, taken: bool) -> None:
    assert selection.takes(LETTER) is taken


def test_what_became_of_the_letters_is_one_sentence() -> None:
    done = Replayed(sent=1200)
    done.left["replayed already"] += 3
    assert done.sentence(dry_run=False, topic="retry") == "1,200 dead letters sent to retry; 3 left: replayed already."
    assert Replayed().sentence(dry_run=True, topic="retry") == "0 dead letters would be sent to retry."
