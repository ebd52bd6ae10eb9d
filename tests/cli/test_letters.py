"""Which dead letters a replay sends: each once an attempt, and none that cannot be scored as it lies there."""

from dataclasses import replace

import pytest

from stream_infer.cli.letters import Letter, Selection, letter_of
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
    own_headers=[("trace", b"abc"), ("stream_infer.attempt", b"1")],
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


OWN = [("trace", b"abc"), ("stream_infer.attempt", b"99"), ("stream_infer.omitted_value_bytes", "\u00b2".encode())]
"""What a record came with: names of the worker's own among them, with content that no worker writes."""
ADDED = [
    ("__streams.errors.exception", b"non_finite"),
    ("__streams.errors.message", b"NaN"),
    ("__streams.errors.topic", b"events"),
    ("__streams.errors.partition", b"1"),
    ("__streams.errors.offset", b"40"),
    ("stream_infer.stage", b"infer"),
    ("stream_infer.model_version", b"1"),
    ("stream_infer.attempt", b"2"),
]


class Written:
    """A record of the dead-letter topic as librdkafka hands it over."""

    def __init__(self, headers: list[tuple[str, bytes]]) -> None:
        self._headers = headers

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def topic(self) -> str:
        return "dead"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 3

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"


def letter(headers: list[tuple[str, bytes]]) -> Letter:
    return letter_of(Written(headers))  # type: ignore[arg-type] # made messages


def test_only_what_the_worker_wrote_counts_whatever_names_the_record_came_with() -> None:
    found = letter(OWN + ADDED)
    assert (found.origin, found.reason, found.attempt, found.omitted_bytes) == (ORIGIN, "non_finite", 2, None)
    assert found.own_headers == OWN
    assert letter([*OWN, *ADDED, ("stream_infer.omitted_value_bytes", b"7")]).omitted_bytes == 7


@pytest.mark.parametrize("number", [b"1" * 5_000, b"2147483648", b"-1", b"one", b"", "\u0661".encode()])
def test_a_letter_with_a_number_that_is_none_is_listed_without_an_origin(number: bytes) -> None:
    forged = [(name, number if name.endswith("partition") else value) for name, value in ADDED]
    assert letter(forged).origin is None
    assert letter(OWN).attempt == 0


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
