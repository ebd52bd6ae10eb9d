from collections.abc import Mapping

import pytest

from tests.checker.history import Place
from tests.checker.laws import unanswered
from tests.checker.reading import headers_of, place_of, read_topic, source_of
from tests.end_to_end.events import EVENT, Sent, encode, make_events
from tests.end_to_end.job import WIDTH, Job, JobMaker

MAX_RECORD_BYTES = 20_000
GOOD = make_events(400, width=WIDTH)
WHOLE = GOOD[1].value or b""
OWN_HEADERS: list[tuple[str, str | bytes | None]] = [("trace", b"abc"), ("trace", b"def"), ("empty", None)]


def features(*values: float) -> bytes:
    event = {"event_id": "bad", "entity_id": "bad", "event_time": 0, "features": list(values)}
    return encode(event)


BAD: Mapping[str, tuple[bytes, str]] = {
    "no-frame": (b"plain text", "unknown_format"),
    "cut-short": (WHOLE[:-3], "undecodable"),
    "left-over": (WHOLE + b"\x00", "trailing_bytes"),
    "unknown-fingerprint": (WHOLE[:2] + b"\x00" * 8 + WHOLE[10:], "unknown_schema"),
    "unknown-schema-id": (b"\x00\x00\x00\x03\xe7" + WHOLE[10:], "unknown_schema"),
    "too-few": (features(1.0, 2.0), "wrong_length"),
    "too-many": (features(*range(WIDTH + 1)), "wrong_length"),
    "empty-array": (features(), "wrong_length"),
    "not-a-number": (features(*[float("nan")] * WIDTH), "non_finite"),
    "only-a-frame": (EVENT.frame, "undecodable"),
    "empty-value": (b"", "unknown_format"),
    "huge": (features(*[1.0] * MAX_RECORD_BYTES), "too_large"),
}


def bad_records() -> list[Sent]:
    return [
        Sent(value, name.encode(), GOOD[number].timestamp_ms, number % 4, OWN_HEADERS)
        for number, (name, (value, _)) in enumerate(BAD.items())
    ]


def among_good(bad: list[Sent]) -> list[Sent]:
    """Put a bad record and two without a value into every part of the good ones, so that no batch is spared."""
    mixed: list[Sent] = []
    for number, one in enumerate(GOOD):
        mixed.append(one)
        if number % 16 == 3 and bad:
            mixed += [bad.pop(0), Sent(None, b"gone"), Sent(None)]
    assert not bad
    return mixed


@pytest.fixture
def scored(make_job: JobMaker) -> Job:
    """Return a job that has scored good and bad records, and has drained."""
    job = make_job(settings={"delivery": {"max_record_bytes": MAX_RECORD_BYTES, "commit_interval_ms": 200}})
    job.send(among_good(bad_records()))
    with job.crew() as crew:
        worker = crew.start()
        crew.until_done()
        assert crew.drain(worker) == 0
    history = job.history(crew.watch.observed)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.predictions) == len(GOOD)
    return job


def test_records_that_cannot_be_scored_go_to_the_dead_letter_topic_and_their_batch_mates_are_answered(
    scored: Job,
) -> None:
    inputs = {place_of(message): message for message in read_topic(scored.bootstrap_servers, scored.input)}
    letters = read_topic(scored.bootstrap_servers, scored.dead_letter)
    assert sorted(bytes(letter.key() or b"").decode() for letter in letters) == sorted(BAD)
    for letter in letters:
        headers = headers_of(letter)
        source = inputs[source_of(headers)]
        assert (letter.key(), letter.value(), letter.timestamp()) == (source.key(), source.value(), source.timestamp())
        assert list(letter.headers() or ())[: len(OWN_HEADERS)] == source.headers() == OWN_HEADERS
        assert headers["__streams.errors.exception"] == BAD[bytes(letter.key() or b"").decode()][1]
        assert headers["__streams.errors.message"]
        assert headers["__streams.errors.stacktrace"] is not None
        assert headers["stream_infer.stage"] in {"decode", "input", "infer"}
        assert headers["stream_infer.model_version"] == "1"
        assert Place(*source_of(headers)) == place_of(source)
