from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import WrongUse
from stream_infer.settings import load_settings

WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8), min_size=2, max_size=4)


@given(words=WORDS)
def test_a_property_is_the_same_from_a_flag_a_variable_and_either_way_of_writing_it_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    name = ".".join(["x", *words])
    folder = tmp_path_factory.mktemp("properties")
    dotted, nested = folder / "dotted.yaml", folder / "nested.yaml"
    dotted.write_text(f"kafka: {{properties: {{{name}: v}}}}", encoding="utf-8")
    nested.write_text(f"kafka: {{properties: {{x: {{{'.'.join(words)}: v}}}}}}", encoding="utf-8")
    variable = f"STREAM_INFER_KAFKA__PROPERTIES__{name.replace('.', '_').upper()}"
    ways = [
        load_settings(None, [f"kafka.properties.{name}=v"], {}),
        load_settings(None, [], {variable: "v"}),
        load_settings(dotted, [], {}),
        load_settings(nested, [], {}),
    ]
    assert [way.kafka.properties for way in ways] == [{name: "v"}] * 4


def test_numbers_and_truth_values_become_what_librdkafka_reads(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("kafka: {properties: {linger.ms: 5, enable.sparse.connections: true}}", encoding="utf-8")
    assert load_settings(config, [], {}).kafka.properties == {"linger.ms": "5", "enable.sparse.connections": "true"}


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("group.id", "use application_id"),
        ("bootstrap.servers", "use kafka.bootstrap_servers"),
        ("client.id", "use worker_id"),
        ("auto.offset.reset", "use kafka.auto_offset_reset"),
        ("enable.auto.commit", "the worker commits itself, see delivery.commit_interval_ms"),
        ("partition.assignment.strategy", "it is always cooperative-sticky; group.protocol may be consumer"),
    ],
)
@pytest.mark.parametrize("where", ["properties", "property_files", "consumer_properties", "producer_properties"])
def test_a_property_that_the_worker_owns_is_refused_with_the_setting_to_use(
    where: str, name: str, instead: str
) -> None:
    option = f"kafka.{where}.{name}"
    with pytest.raises(WrongUse) as caught:
        load_settings(None, [f"{option}=secret-value"], {})
    assert str(caught.value) == f"{option} (--set {option}) is not set here, expected it left out: {instead}."


def test_the_registry_s_address_is_not_a_property_of_its_client() -> None:
    with pytest.raises(WrongUse, match=r"use schema_registry\.url"):
        load_settings(None, ["schema_registry.properties.url=http://localhost"], {})


def test_no_refusal_repeats_a_secret() -> None:
    environ = {"STREAM_INFER_KAFKA__PROPERTIES__SASL_PASSWORD": "hunter2"}
    with pytest.raises(WrongUse) as caught:
        load_settings(None, ["kafka.properties.group.id=x", "web.port=x"], environ)
    assert "hunter2" not in str(caught.value)
