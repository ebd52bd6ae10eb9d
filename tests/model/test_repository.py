from pathlib import Path

import pytest

from stream_infer.errors import Stop
from stream_infer.model.repository import find_version, list_versions


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


def test_other_places_are_refused_by_their_kind(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"is on s3://, expected a local folder or a file:/// URL$"):
        find_version("s3://bucket/models", "fraud")
    with pytest.raises(Stop, match=r"is no folder"):
        find_version(str(tmp_path / "none"), "fraud")
