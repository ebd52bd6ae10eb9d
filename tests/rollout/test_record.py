"""Control records: what a person may type, and how everything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_infer.rollout.record import BadRecord, Canary, Desired, TripLimits, VersionRef, parse_desired, to_json
from tests.rollout.states import desired_states

DIGEST = "0123456789abcdef" * 4
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = {"model", "revision", "stable", "canary", "prepared", "format", "requires", "allow_output_change", "reason"}
VERSION_FIELDS = {"version", "uri", "sha256", "size_bytes", "percent", "seed", "limits"}


def typed(**more: Any) -> bytes:
    return json.dumps({"model": "fraud", "stable": {"version": "2"}, **more}).encode()


def canary(**more: Any) -> dict[str, Any]:
    return {"version": "3", "percent": 5, **more}


def refusal(value: bytes) -> str:
    with pytest.raises(BadRecord) as caught:
        parse_desired(value, next_revision=1)
    return str(caught.value)


def parsed_canary(**more: Any) -> Canary:
    found = parse_desired(typed(canary=canary(**more)), next_revision=7).canary
    assert found is not None
    return found


def state_or_refusal(value: bytes) -> Desired | str:
    try:
        return parse_desired(value, next_revision=3)
    except BadRecord as reason:
        return str(reason)


def is_lawful(found: Desired | str) -> bool:
    """Say whether a state can be written and read again, and whether a refusal is one short line of UTF-8."""
    if isinstance(found, str):
        return found.isprintable() and len(found.encode()) < 400
    return parse_desired(to_json(found), next_revision=4) == found


@given(desired=desired_states)
def test_a_state_that_was_written_is_read_as_it_was(desired: Desired) -> None:
    assert parse_desired(to_json(desired), next_revision=1) == desired


def test_what_a_person_types_is_enough() -> None:
    value = b'{"model":"fraud","revision":2,"stable":{"version":"2"}}'
    assert parse_desired(value, next_revision=9) == Desired("fraud", 2, VersionRef("2"))


def test_a_record_without_a_revision_counts_as_the_next_one() -> None:
    assert parse_desired(typed(), next_revision=9).revision == 9
    assert parse_desired(typed(revision=None), next_revision=9).revision == 9


def test_a_null_is_as_good_as_absent() -> None:
    nulls = dict.fromkeys(["canary", "prepared", "issued_at", "reason", "allow_output_change", "application_id"])
    assert parse_desired(typed(**nulls, format=None, requires=None), next_revision=1) == parse_desired(
        typed(), next_revision=1
    )


def test_a_canary_without_a_seed_takes_the_model_and_the_revision() -> None:
    assert parsed_canary().seed == "fraud/7"
    assert parsed_canary(seed="fraud/6").seed == "fraud/6"


def test_limits_that_are_not_named_have_their_usual_values() -> None:
    assert parsed_canary(limits={"max_error_ratio": 0.01}).limits == TripLimits(max_error_ratio=0.01)


@given(hundredths=st.integers(0, 10_000))
def test_every_percentage_with_two_decimals_is_read_exactly(hundredths: int) -> None:
    value = typed(canary={"version": "3", "percent": "PERCENT"})
    text = f"{hundredths // 100}.{hundredths % 100:02d}".encode()
    found = parse_desired(value.replace(b'"PERCENT"', text), next_revision=1).canary
    assert found is not None
    assert found.hundredths == hundredths


@given(percent=st.floats(0, 100).filter(lambda number: round(number, 2) != number))
def test_a_finer_percentage_is_refused(percent: float) -> None:
    assert "steps of 0.01" in refusal(typed(canary=canary(percent=percent)))


def test_fields_that_are_not_known_are_ignored_unless_the_record_requires_them() -> None:
    assert parse_desired(typed(shadow={"version": "4"}, requires=["canary"]), next_revision=1)
    assert refusal(typed(requires=["canary", "shadow"])) == (
        'requires names "shadow", expected only what this worker knows'
    )


def test_words_for_people_are_read_on_one_line() -> None:
    assert parse_desired(typed(reason="worse\x1b[31m\nthan v1", issued_by=""), next_revision=1) == Desired(
        "fraud", 1, VersionRef("2"), reason="worse [31m than v1"
    )


def test_a_text_that_utf8_cannot_say_is_written_with_a_question_mark() -> None:
    desired = Desired("fraud", 1, VersionRef("2"), issued_by="j\udce9r\udcf4me@host")
    assert parse_desired(to_json(desired), next_revision=1).issued_by == "j?r?me@host"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"", "the record is no JSON at line 1, column 1 (Expecting value), expected a JSON object"),
        (b"\xff", "the record is no UTF-8 at byte 0, expected JSON"),
        (b"[1]", "the record is a list, expected a JSON object"),
        (b'{"model":"a","model":"b"}', 'the record names "model" twice in one object, expected once'),
        (b'{"x":NaN}', "the record holds NaN, expected a number as JSON has them"),
        (b'{"x":-Infinity}', "the record holds -Infinity, expected a number as JSON has them"),
        (b'{"x":1e999}', "the record holds the number 1e999, expected one that a double can hold"),
        (b'{"stable":{"version":"2"}}', "model is missing, expected text"),
        (b'{"model":"fraud"}', 'stable is missing, expected an object such as {"version": "2"}'),
        (typed(stable="2"), 'stable is "2", expected an object'),
        (typed(stable={}), "stable.version is missing, expected text"),
        (typed(stable={"version": 2}), 'stable.version is 2, expected text in quotes: "2"'),
        (typed(format=2), "format is 2, expected 1, or a newer worker"),
        (typed(revision=0), f"revision is 0, expected a whole number from 1 to {2**63 - 1}"),
        (typed(revision=True), f"revision is true, expected a whole number from 1 to {2**63 - 1}"),
        (typed(revision=2.0), f"revision is 2.0, expected a whole number from 1 to {2**63 - 1}"),
        (typed(allow_output_change="no"), 'allow_output_change is "no", expected true or false'),
        (typed(prepared={}), "prepared is an object, expected a list"),
        (typed(prepared=["3"]), 'prepared[0] is "3", expected an object'),
        (typed(prepared=[{"version": "3"}, {}]), "prepared[1].version is missing, expected text"),
        (typed(reason=5), "reason is 5, expected text"),
        (typed(requires="shadow"), 'requires is "shadow", expected a list'),
        (
            typed(canary={"version": "3"}),
            "canary.percent is missing, expected a number from 0 to 100 in steps of 0.01",
        ),
        (typed(canary=canary(percent="5")), 'canary.percent is "5", expected a number from 0 to 100'),
        (typed(canary=canary(percent=100.01)), "canary.percent is 100.01, expected a number from 0 to 100"),
        (
            typed(canary=canary(limits={"max_error_ratio": 1.5})),
            "canary.limits.max_error_ratio is 1.5, expected a number from 0 to 1",
        ),
        (
            typed(canary=canary(limits={"window_s": 0})),
            "canary.limits.window_s is 0, expected at least 1 second",
        ),
    ],
)
def test_a_refusal_names_the_field_what_was_found_and_what_was_expected(value: bytes, sentence: str) -> None:
    assert refusal(value) == sentence


@pytest.mark.parametrize("version", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0b", "\ud800", "a\nb", "x" * 256])
def test_a_version_is_safe_as_the_name_of_one_folder(version: str) -> None:
    assert refusal(typed(stable={"version": version})).startswith("stable.version is ")
    assert refusal(typed(stable={"version": version, "uri": "s3://models/fraud/3"})).startswith("stable.version is ")


@pytest.mark.parametrize("digest", ["", DIGEST[:-1], DIGEST.upper(), DIGEST + "\n", f"sha256:{DIGEST}", "g" * 64])
def test_a_digest_is_64_lower_case_hexadecimal_digits(digest: str) -> None:
    assert refusal(typed(stable={"version": "2", "sha256": digest})).startswith("stable.sha256 is ")


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 500_000,
        b'{"x":' * 5_000 + b"1" + b"}" * 5_000,
        typed(x=json.loads("[" * 33 + "]" * 33)),
    ],
)
def test_a_record_that_nests_too_deeply_is_refused(value: bytes) -> None:
    assert refusal(value) == "the record nests deeper than 32 levels, expected at most that"


def test_a_record_that_is_too_long_is_refused() -> None:
    assert refusal(typed(x="y" * (1 << 20))).endswith("expected at most 1048576")


def test_a_whole_number_that_is_too_long_is_refused_without_being_read() -> None:
    sentence = refusal(typed()[:-1] + b',"x":' + b"9" * 100_000 + b"}")
    assert sentence.endswith("expected at most 19 digits")
    assert len(sentence) < 200


def test_there_is_no_revision_above_the_last() -> None:
    with pytest.raises(BadRecord, match="revision is missing and would be"):
        parse_desired(typed(), next_revision=2**63)


def test_a_refusal_shows_little_of_what_is_long() -> None:
    assert len(refusal(typed(stable={"version": "/" * 100_000}))) < 300


@given(value=st.binary())
@example(b"\xef\xbb\xbf{}")
def test_bytes_are_a_state_or_a_bad_record(value: bytes) -> None:
    assert is_lawful(state_or_refusal(value))


@given(
    value=st.fixed_dictionaries(
        {"model": st.text(min_size=1)},
        optional={
            **dict.fromkeys(FIELDS - {"model", "stable"}, json_values),
            "stable": st.dictionaries(st.sampled_from(sorted(VERSION_FIELDS)), json_values) | json_values,
            "canary": st.dictionaries(st.sampled_from(sorted(VERSION_FIELDS)), json_values) | json_values,
        },
    )
)
def test_json_is_a_state_or_a_bad_record(value: Any) -> None:
    assert is_lawful(state_or_refusal(json.dumps(value).encode()))
