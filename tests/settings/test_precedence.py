from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.settings import Settings, load_settings, load_with_origins
from stream_infer.settings.options import Option, all_options

SIZES = st.integers(min_value=1, max_value=16384)


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def reached(settings: Settings, option: Option) -> object:
    found: object = settings
    for step in option.path:
        found = getattr(found, step)
    return found


def test_without_anything_said_the_defaults_hold() -> None:
    settings = load_settings(None, [], {})
    assert settings.application_id == "stream-infer"
    assert settings.kafka.bootstrap_servers == "localhost:9092"
    assert settings.topics.input == ("feature-events",)
    assert settings.batching.max_queue_delay_ms == 5
    assert settings.delivery.max_record_bytes == 1048576
    assert settings.web.port == 6066


@given(sizes=st.tuples(*[st.none() | SIZES] * 3))
def test_flags_win_over_the_environment_and_that_over_the_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: tuple[int | None, int | None, int | None]
) -> None:
    file, variable, flag = sizes
    text = "" if file is None else f"batching: {{max_batch_size: {file}}}"
    config = written(tmp_path_factory.mktemp("precedence"), text)
    environ = {} if variable is None else {"STREAM_INFER_BATCHING__MAX_BATCH_SIZE": str(variable)}
    sets = [] if flag is None else [f"batching.max_batch_size={flag}"]
    said = [size for size in sizes if size is not None]
    assert load_settings(config, sets, environ).batching.max_batch_size == (said[-1] if said else 256)


def test_the_last_of_two_flags_wins() -> None:
    assert load_settings(None, ["web.port=7000", "web.port=7001"], {}).web.port == 7001


def test_the_environment_names_the_file_unless_a_flag_does(tmp_path: Path) -> None:
    named = written(tmp_path, "application_id: from-environment")
    given_file = tmp_path / "given.yaml"
    given_file.write_text("application_id: from-flag", encoding="utf-8")
    environ = {"STREAM_INFER_CONFIG": str(named)}
    assert load_settings(None, [], environ).application_id == "from-environment"
    assert load_settings(given_file, [], environ).application_id == "from-flag"


@pytest.mark.parametrize("option", [one for one in all_options() if not one.is_map], ids=lambda one: one.name)
def test_every_setting_can_be_said_by_its_environment_variable(option: Option) -> None:
    default = reached(load_settings(None, ["application_id=same", "worker_id=same"], {}), option)
    text = ",".join(default) if isinstance(default, tuple) else "null" if default is None else str(default)
    environ = {option.variable: text}
    sets = [f"{name}=same" for name in ("application_id", "worker_id") if name != option.name]
    loaded = load_with_origins(None, sets, environ)
    assert reached(loaded.settings, option) == default
    assert loaded.origin_of(option.name) == option.variable


def test_null_names_are_made_of_the_application_id() -> None:
    topics = load_settings(None, ["application_id=shop"], {}).topics
    made = (topics.dead_letter, topics.control, topics.status, topics.retry)
    assert made == ("shop.dead-letter", "shop.control", "shop.status", "shop.retry")


def test_a_name_that_is_given_is_kept() -> None:
    settings = load_settings(None, ["topics.control=rollouts", "worker_id=pod-3", "topics.retry=null"], {})
    assert (settings.topics.control, settings.worker_id) == ("rollouts", "pod-3")
    assert settings.topics.retry == "stream-infer.retry"


def test_a_section_that_is_left_empty_keeps_its_defaults(tmp_path: Path) -> None:
    without = load_settings(written(tmp_path, ""), ["worker_id=w"], {})
    config = written(tmp_path, "web:\nkafka:\n  properties:\ntopics: {}\n")
    assert load_settings(config, ["worker_id=w"], {}) == without


def test_settings_cannot_be_changed() -> None:
    settings = load_settings(None, [], {})
    with pytest.raises(ValueError, match="frozen"):
        settings.web.port = 1


def test_every_setting_says_what_it_means() -> None:
    schema = Settings.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    fields = {name: field for section in sections for name, field in section["properties"].items()}
    assert {name for name, field in fields.items() if not ({"description", "$ref"} & set(field))} == set()
