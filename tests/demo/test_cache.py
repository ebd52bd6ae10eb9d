from dataclasses import replace
from pathlib import Path

import pytest

from stream_infer.demo.cache import STAMP_NAME, Ingredients, current_ingredients, find_cached, make_cached
from stream_infer.errors import Stop

MADE_WITH = Ingredients(stream_infer="1", torch="2", scikit_learn="3", code="abc")
ACCURACY = 0.97


def train(repository: Path) -> float:
    for name in "123":
        version = repository / "digits" / name
        version.mkdir(parents=True)
        (version / "model.yaml").write_text("format: export")
        (version / "model.pt2").write_bytes(b"weights")
    return ACCURACY


def test_what_was_made_is_found(tmp_path: Path) -> None:
    made = make_cached(tmp_path, MADE_WITH, train=train)
    assert find_cached(tmp_path, MADE_WITH) == made
    assert made.repository == tmp_path / "models"
    assert made.accuracy == ACCURACY


def test_an_empty_cache_holds_nothing(tmp_path: Path) -> None:
    assert find_cached(tmp_path / "nowhere", MADE_WITH) is None


@pytest.mark.parametrize("name", ["stream_infer", "torch", "scikit_learn", "code"])
def test_another_version_of_anything_makes_it_stale(tmp_path: Path, name: str) -> None:
    make_cached(tmp_path, MADE_WITH, train=train)
    assert find_cached(tmp_path, replace(MADE_WITH, **{name: "other"})) is None


@pytest.mark.parametrize("file", ["digits/1/model.yaml", "digits/1/model.pt2", "digits/3/model.pt2", STAMP_NAME])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_file_is_noticed_and_made_again(tmp_path: Path, file: str, damage: str) -> None:
    path = make_cached(tmp_path, MADE_WITH, train=train).repository / file
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if damage == "cut" else b"?" + whole[1:])
    assert find_cached(tmp_path, MADE_WITH) is None

    make_cached(tmp_path, MADE_WITH, train=train)
    assert path.read_bytes() == whole
    assert find_cached(tmp_path, MADE_WITH) is not None


def test_a_training_that_fails_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    made = make_cached(tmp_path, MADE_WITH, train=train)

    def fail(repository: Path) -> float:
        train(repository)
        raise Stop("no luck")

    with pytest.raises(Stop, match="no luck"):
        make_cached(tmp_path, replace(MADE_WITH, torch="other"), train=fail)
    assert find_cached(tmp_path, MADE_WITH) == made
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_of_two_demos_that_train_at_once_both_have_a_model(tmp_path: Path) -> None:
    def train_slowly(repository: Path) -> float:
        make_cached(tmp_path, MADE_WITH, train=train)
        return train(repository)

    assert make_cached(tmp_path, MADE_WITH, train=train_slowly) == find_cached(tmp_path, MADE_WITH)


def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Stop, match=r"cache .*file cannot be written: .+, expected a folder that can be"):
        make_cached(tmp_path / "file", MADE_WITH, train=train)


def test_a_model_is_made_with_versions_that_have_names() -> None:
    made_with = current_ingredients()
    assert made_with == current_ingredients()
    assert all((made_with.stream_infer, made_with.torch, made_with.scikit_learn))
