from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_infer.errors import Retry, Stop
from stream_infer.model.repository import find_version, list_versions, open_repository
from tests.model.site import Site, serving, status


def put(root: Path, *places: str) -> None:
    for place in places:
        (root / place).mkdir(parents=True)
        (root / place / "model.yaml").touch()


def test_the_only_version_is_found_without_its_name(tmp_path: Path) -> None:
    put(tmp_path, "fraud/7", "other/1", "other/2")
    found = find_version(str(tmp_path), "fraud")
    assert (found.name, found.version, found.path) == ("fraud", "7", tmp_path / "fraud" / "7")


def test_a_file_url_names_the_same_folder(tmp_path: Path) -> None:
    root = tmp_path / "my models"
    put(root, "fraud/7")
    assert find_version(root.as_uri(), "fraud", version="7").path == root / "fraud" / "7"


def test_several_versions_are_listed_when_none_is_named(tmp_path: Path) -> None:
    put(tmp_path, "fraud/10", "fraud/9", "fraud/beta")
    with pytest.raises(
        Stop, match=r"^model fraud has the versions 9, 10, beta, expected model.version to name one of them$"
    ):
        find_version(str(tmp_path), "fraud")


def test_a_version_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    put(tmp_path, "fraud/1", "fraud/2")
    with pytest.raises(Stop, match=r"^model fraud has no version 3, expected one of those in .*fraud: 1, 2$"):
        find_version(str(tmp_path), "fraud", version="3")


def test_a_model_that_is_not_there_says_where_it_would_be(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"has no model fraud, expected .*fraud/<version>/model.yaml$"):
        find_version(str(tmp_path), "fraud")


def test_no_name_leads_out_of_the_repository(tmp_path: Path) -> None:
    put(tmp_path, "outside/1", "models/fraud/1")
    for name, version in (("../outside", "1"), ("fraud", "../../outside/1"), ("fraud", "."), ("", "")):
        with pytest.raises(Stop):
            find_version(str(tmp_path / "models"), name, version=version)


def test_what_is_half_written_is_not_listed(tmp_path: Path) -> None:
    put(tmp_path, "fraud/1", "fraud/.2.abc")
    assert [found.version for found in list_versions(tmp_path)] == ["1"]


def test_a_place_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"is no folder"):
        find_version(str(tmp_path / "none"), "fraud")
    with pytest.raises(Stop, match=r"^xyz://host/models cannot be read: Protocol not known: xyz$"):
        find_version("xyz://host/models", "fraud")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Site]:
    put(tmp_path, "fraud/10", "fraud/9", "fraud/.2.abc", "other/1", ".hidden/1", "models/with space/1")
    (tmp_path / "fraud" / "notes").mkdir()
    (tmp_path / "fraud" / "readme.txt").touch()
    with serving(tmp_path) as site:
        yield site


def test_a_repository_elsewhere_is_listed_as_one_on_this_machine(elsewhere: Site) -> None:
    found = list_versions(open_repository(elsewhere.url))
    assert [(one.name, one.version, one.location) for one in found] == [
        ("fraud", "9", f"{elsewhere.url}/fraud/9"),
        ("fraud", "10", f"{elsewhere.url}/fraud/10"),
        ("other", "1", f"{elsewhere.url}/other/1"),
    ]
    inner = list_versions(open_repository(f"{elsewhere.url}/models/"))
    assert [one.location for one in inner] == [f"{elsewhere.url}/models/with%20space/1"]


def test_a_version_elsewhere_is_found_and_lies_not_on_this_machine(elsewhere: Site) -> None:
    found = find_version(elsewhere.url, "other")
    assert (found.name, found.version) == ("other", "1")
    with pytest.raises(Stop, match=r"/other/1 does not lie on this machine, expected it to be fetched first$"):
        _ = found.path
    assert find_version(elsewhere.url, "fraud", version="9").location == f"{elsewhere.url}/fraud/9"
    with pytest.raises(Stop, match=r"^model fraud has the versions 9, 10, expected model.version to name one of them$"):
        find_version(elsewhere.url, "fraud")
    with pytest.raises(Stop, match=r"^model fraud has no version 3, expected one of those in .*/fraud: 9, 10$"):
        find_version(elsewhere.url, "fraud", version="3")
    with pytest.raises(Stop, match=r"has no model churn, expected .*/churn/<version>/model.yaml$"):
        find_version(elsewhere.url, "churn")


def test_a_version_that_is_named_is_found_without_a_listing(elsewhere: Site) -> None:
    find_version(elsewhere.url, "fraud", version="9")
    assert elsewhere.asked == ["/fraud/9/model.yaml"]


def test_a_repository_that_is_away_is_asked_again_later(elsewhere: Site) -> None:
    elsewhere.answers["/fraud/"] = status(503)
    with pytest.raises(Retry, match=r"/fraud cannot be read for now"):
        find_version(elsewhere.url, "fraud")
