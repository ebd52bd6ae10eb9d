import errno
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import Retry, Stop
from stream_infer.model.sources.faults import NotThere, reading
from stream_infer.model.sources.location import Location, parse_location

STEP = st.text(st.characters(codec="utf-8", exclude_characters="/\\%?#:@", exclude_categories=["Cc"]), min_size=1)
STEPS = st.lists(STEP.filter(lambda step: step not in {".", ".."}), max_size=4).map(tuple)
ROOTS = st.sampled_from([("file", ""), ("s3", "bucket"), ("http", "models.example.com:8080"), ("models", "")])
LOCATIONS = st.builds(lambda root, steps: Location(root[0], root[1], steps), ROOTS, STEPS)


@given(LOCATIONS)
def test_a_location_is_read_back_from_its_text(location: Location) -> None:
    if location.scheme == "models" and not location.steps:
        return
    assert parse_location(str(location)) == location


@given(LOCATIONS, LOCATIONS)
def test_a_location_holds_itself_and_what_lies_below_it_alone(one: Location, other: Location) -> None:
    assert one.holds(one)
    assert one.holds(one.below("x"))
    assert not one.below("x").holds(one)
    assert not one.below("x").holds(one.below("xy"))
    text = str(one).rstrip("/")
    assert one.holds(other) == f"{other}/".startswith(f"{text}/")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://Models.Example.com/a", "HTTP://models.example.com:80/a/"),
        ("https://models.example.com/a%20b", "https://models.example.com:443/a b"),
        ("http://models.example.com/%66raud", "http://models.example.com/fraud"),
        ("file:///models/my%20model", "/models/my model"),
        ("file://localhost/models", "/models/"),
    ],
)
def test_spellings_of_one_place_are_equal(one: str, other: str) -> None:
    assert parse_location(one) == parse_location(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://models.example.com/a", "https://models.example.com/a"),
        ("http://models.example.com/a", "http://models.example.com:8080/a"),
        ("http://models.example.com/a", "http://models.example.com.evil.test/a"),
        ("s3://bucket/a", "s3://Bucket/a"),
        ("s3://bucket/a", "s3://bucket/ab"),
        ("s3://bucket/a", "gs://bucket/a"),
        ("/models", "/models-of-others/fraud"),
    ],
)
def test_other_places_are_not_held(one: str, other: str) -> None:
    assert not parse_location(one).holds(parse_location(other))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models/fraud",
        "./models",
        "/models/../etc",
        "/models/./fraud",
        "/models//fraud",
        "s3://bucket/a/../../other",
        "s3://bucket//a",
        "s3:///a",
        "s3://bucket/a\\..\\b",
        "http://models.example.com/a/%2e%2e/b",
        "http://models.example.com/a/%252e%252e/b",
        "http://models.example.com/a%2fb",
        "http://models.example.com@evil.test/a",
        "http://models.example.com:pass@evil.test/a",
        "http://models.example.com\\@evil.test/a",
        "http://models.example.com/a?b=c",
        "http://models.example.com/a#b",
        "http://models.example.com\n.evil.test/a",
        "http://models example.com/a",
        "simplecache::s3://bucket/a",
        "file://other.example.com/a",
        "models://registry/fraud/3",
        "models:fraud/3",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Stop, match="expected"):
        parse_location(text)


def test_a_password_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(Stop) as refusal:
        parse_location("http://me:secret@models.example.com/a")
    assert "secret" not in str(refusal.value)


class Answered(Exception):
    """What libraries raise for a server's answer: the status is a number on it."""

    def __init__(self, status: int) -> None:
        super().__init__(HTTPStatus(status).phrase)
        self.status = status


class NoCredentialsError(Exception):
    """Named as in botocore, which has no base class that says so."""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (Answered(503), Retry),
        (Answered(500), Retry),
        (Answered(429), Retry),
        (Answered(408), Retry),
        (Answered(403), Stop),
        (Answered(404), NotThere),
        (FileNotFoundError("x"), NotThere),
        (PermissionError("x"), Stop),
        (OSError(errno.EINVAL, "bad name"), Stop),
        (OSError(errno.ENOSPC, "disk full"), Stop),
        (OSError(errno.EBUSY, "slow down"), Retry),
        (OSError(errno.ECONNREFUSED, "refused"), Retry),
        (TimeoutError(), Retry),
        (ConnectionResetError(), Retry),
        (ValueError("no such host name"), Stop),
        (NoCredentialsError("none"), Stop),
        (RuntimeError("what a library raises"), Retry),
    ],
)
def test_a_failed_read_is_tried_again_only_when_that_may_help(raised: Exception, kind: type[Exception]) -> None:
    sentence = r"^s3://bucket/model.yaml (is not there|cannot be read)"
    with pytest.raises(kind, match=sentence) as found, reading("s3://bucket/model.yaml", scheme="s3"):
        raise raised
    assert isinstance(found.value, Retry) == (kind is Retry)


def test_whom_a_library_s_error_names_is_not_repeated() -> None:
    with pytest.raises(Retry) as found, reading("models:/fraud/1", scheme="models"):
        raise ConnectionError("no answer from https://me:hunter2@mlflow:5000/api")
    assert str(found.value).endswith("no answer from https://[hidden]@mlflow:5000/api")


def test_a_missing_package_is_answered_with_the_extra_that_brings_it() -> None:
    for scheme, wanted in (("s3", "the extra s3"), ("gs", "the package that reads gs://")):
        sentence = rf"^it cannot be read by this installation, expected {wanted} to be installed: Install it$"
        with pytest.raises(Stop, match=sentence), reading("it", scheme=scheme):
            raise ImportError("Install it")
