from pathlib import Path

import pytest

from stream_infer.errors import WrongUse
from stream_infer.settings import load_settings

SCHEMA = '{"type": "record", "name": "E", "fields": []}'


def test_paths_begin_at_the_folder_of_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "own.avsc").write_text(SCHEMA, encoding="utf-8")
    config = folder / "settings.yaml"
    config.write_text(
        "model: {repository: models}\nschemas: {input: own.avsc}\nkafka: {property_files: {sasl.password: pw}}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("conf/settings.yaml"), [], {})
    assert settings.model.repository == str(folder / "models")
    assert settings.schemas.input == folder / "own.avsc"
    assert settings.kafka.property_files == {"sasl.password": folder / "pw"}


def test_paths_begin_at_the_working_directory_without_a_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, [], {}).model.repository == str(tmp_path / "models")


def test_a_url_stays_as_it_is() -> None:
    assert load_settings(None, ["model.repository=s3://bucket/models"], {}).model.repository == "s3://bucket/models"


def test_schemas_that_are_not_there_come_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = load_settings(None, [], {}).schemas
    assert shipped.input.is_file()
    assert shipped.output.is_file()
    (tmp_path / "schemas").mkdir()
    own = tmp_path / "schemas" / "feature_event.avsc"
    own.write_text(SCHEMA, encoding="utf-8")
    assert load_settings(None, [], {}).schemas.input == own


def test_a_schema_that_is_nowhere_is_refused_with_those_that_the_package_has(tmp_path: Path) -> None:
    with pytest.raises(WrongUse) as caught:
        load_settings(None, [f"schemas.input={tmp_path}/none.avsc"], {})
    assert f"there is none at {tmp_path}/none.avsc" in str(caught.value)
    assert "schemas/feature_event.avsc" in str(caught.value)
