from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import WrongUse
from stream_infer.settings import load_settings
from stream_infer.settings.options import all_options

NAMES = sorted(option.name for option in all_options() if not option.is_map)


def refusal(*sets: str, environ: dict[str, str] | None = None, config: Path | None = None) -> str:
    with pytest.raises(WrongUse) as caught:
        load_settings(config, sets, environ or {})
    return str(caught.value)


def from_file(folder: Path, text: str) -> str:
    config = folder / "settings.yaml"
    config.write_text(text, encoding="utf-8")
    return refusal(config=config)


@given(name=st.sampled_from(NAMES), at=st.integers(min_value=0, max_value=30))
def test_a_misspelt_name_is_refused_with_the_nearest_known_one(name: str, at: int) -> None:
    section, dot, last = name.rpartition(".")
    misspelt = f"{section}{dot}{last[: at % len(last)]}{last[at % len(last) + 1 :]}x"
    sentence = refusal(f"{misspelt}=1")
    assert sentence.startswith(f"{misspelt} (--set) is no setting")
    assert any(known in sentence for known in NAMES)


def test_a_name_under_the_wrong_section_finds_its_own() -> None:
    assert "the nearest is batching.max_batch_size." in refusal("model.max_batch_size=3")


def test_a_misspelt_variable_is_refused_with_the_nearest_known_one() -> None:
    sentence = refusal(environ={"STREAM_INFER_KAFKA__BOOTSTRAP_SERVER": "a:1"})
    assert "STREAM_INFER_KAFKA__BOOTSTRAP_SERVER is no setting" in sentence
    assert sentence.endswith("the nearest is STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS.")


def test_variables_for_tests_and_of_kubernetes_services_are_nobody_s_settings() -> None:
    loaded = load_settings(
        None,
        [],
        {
            "STREAM_INFER_TEST_BOOTSTRAP": "a:1",
            "STREAM_INFER_SERVICE_HOST": "10.0.0.1",
            "STREAM_INFER_WEB_SERVICE_PORT_HTTP": "6066",
            "STREAM_INFER_PORT": "tcp://10.0.0.1:6066",
            "STREAM_INFER_PORT_6066_TCP_ADDR": "10.0.0.1",
            "UNRELATED": "x",
        },
    )
    assert loaded.web == load_settings(None, [], {}).web
    assert loaded.kafka == load_settings(None, [], {}).kafka


def test_a_variable_with_one_underscore_too_few_is_refused_and_not_taken_for_a_service() -> None:
    assert refusal(environ={"STREAM_INFER_WEB_PORT": "7"}).endswith("the nearest is STREAM_INFER_WEB__PORT.")


def test_a_misspelt_name_in_the_file_is_refused_with_its_line(tmp_path: Path) -> None:
    sentence = from_file(tmp_path, "web:\n  prot: 7\n")
    assert sentence == (
        f"web.prot ({tmp_path}/settings.yaml:2) is no setting, expected one that is: the nearest is web.port."
    )


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("batching.max_batch_size=0", "expected greater than or equal to 1."),
        ("batching.max_batch_size=many", "expected a valid integer, unable to parse string as an integer."),
        ("batching.max_queue_delay_ms=-1", "expected greater than or equal to 0."),
        ("batching.max_queue_delay_ms=nan", "expected a finite number."),
        ("model.device=gpu", "expected auto, cpu, cuda or cuda:N."),
        ("kafka.auto_offset_reset=newest", "expected 'earliest', 'latest' or 'error'."),
        ("topics.output=a b", "expected 1 to 249 letters, digits, dots, underscores or dashes."),
        ("topics.input=a,a", "expected name each one once."),
        ("topics.input=", "expected at least 1 item after validation, not 0."),
        ("delivery.non_finite=zero", "expected 'dead_letter' or 'pass' or null."),
        ("delivery.dead_letter_limit.max_ratio=1.5", "expected less than or equal to 1."),
        ("web.port=70000", "expected less than or equal to 65535."),
    ],
)
def test_a_wrong_value_is_refused_with_the_option_the_value_and_what_was_expected(flag: str, sentence: str) -> None:
    name, _, value = flag.partition("=")
    assert refusal(flag) == f"{name} is {value!r} (--set {name}), {sentence}"


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    sentence = from_file(tmp_path, "batching: {max_batch_size: true}")
    assert sentence == f"batching.max_batch_size is true ({tmp_path}/settings.yaml:1), expected a number."


def test_every_wrong_value_gets_a_line_of_its_own() -> None:
    lines = refusal("web.port=x", "batching.max_batch_size=0", "model.device=tpu").splitlines()
    assert sorted(line.split()[0] for line in lines) == ["batching.max_batch_size", "model.device", "web.port"]


def test_a_flag_without_a_value_is_refused() -> None:
    assert refusal("web.port") == "--set is 'web.port', expected section.name=value."


@pytest.mark.parametrize("name", ["batching", "kafka.properties", "schemas.fields"])
def test_a_section_is_not_a_value(name: str) -> None:
    assert refusal(f"{name}=3").startswith(f"{name} (--set) was given as one value, expected ")


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (
            ["topics.output=feature-events"],
            "topics.output is feature-events, expected another topic than topics.input.",
        ),
        (["topics.retry=predictions"], "topics.retry is predictions, expected another topic than topics.output."),
        (
            ["batching.queue_limit_records=100"],
            "batching.queue_limit_records is 100, expected at least batching.max_batch_size, 256.",
        ),
        (
            ["schemas.output_format=confluent"],
            "schemas.output_format is confluent, expected schema_registry.url to be set beside it.",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(sets: list[str], sentence: str) -> None:
    assert refusal(*sets) == sentence


@pytest.mark.parametrize(
    ("flag", "instead"),
    [
        ("model.trust_policy=signed", "digest"),
    ],
)
def test_what_this_version_cannot_do_is_refused_and_not_ignored(flag: str, instead: str) -> None:
    name, _, value = flag.partition("=")
    assert refusal(flag) == f"{name} is {value}, which this version does not do yet, expected {instead}."


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    sentence = refusal(config=tmp_path / "none.yaml")
    assert sentence == f"The settings file {tmp_path}/none.yaml cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("web: [", "settings.yaml:1 is no valid YAML: expected the node content, but found '<stream end>'."),
        ("- web", "settings.yaml:1 is no valid YAML: expected names with values."),
        (
            "web: {port: 1}\nweb:\n  port: 2\n",
            "settings.yaml:3 says web.port again, expected it once; line 1 has it.",
        ),
        ("web: {port: !!python/name:os.system ''}", "python/name:os.system'."),
    ],
)
def test_a_file_that_is_no_mapping_or_says_things_twice_is_refused(tmp_path: Path, text: str, ending: str) -> None:
    assert from_file(tmp_path, text).endswith(ending)
