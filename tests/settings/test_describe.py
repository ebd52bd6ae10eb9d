import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stream_infer.settings import Settings, as_yaml, effective, json_schema, load_settings, load_with_origins
from stream_infer.settings.secrets import is_secret


def test_what_is_shown_is_a_settings_file_that_means_the_same(tmp_path: Path) -> None:
    sets = [
        "worker_id=w",
        "topics.input=a,b",
        "kafka.properties.security.protocol=SSL",
        "delivery.non_finite=null",
        "model.version=1",
        "schemas.passthrough=x",
    ]
    shown = tmp_path / "shown.yaml"
    shown.write_text(as_yaml(effective(load_with_origins(None, sets, {}))), encoding="utf-8")
    assert load_settings(shown, [], {}) == load_settings(None, sets, {})


def test_each_value_says_who_wrote_it(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("application_id: shop\nweb: {port: 1}\n", encoding="utf-8")
    environ = {"STREAM_INFER_WEB__PORT": "2"}
    rows = {row.name: row for row in effective(load_with_origins(config, ["log.level=debug"], environ))}
    assert rows["application_id"].origin == f"{config}:1"
    assert rows["web.port"].origin == "STREAM_INFER_WEB__PORT"
    assert rows["log.level"].origin == "--set log.level"
    assert rows["web.host"].origin == "default"


def test_secrets_are_hidden_and_the_files_that_hold_them_are_named() -> None:
    sets = [
        "kafka.properties.sasl.password=hunter2",
        "kafka.producer_properties.ssl.key.pem=hunter2",
        "schema_registry.properties.basic.auth.user.info=me:hunter2",
        "kafka.property_files.ssl.key.password=/etc/secret",
    ]
    shown = as_yaml(effective(load_with_origins(None, sets, {})))
    assert "hunter2" not in shown
    assert shown.count('"[hidden]"') == 3
    assert 'ssl.key.password: "/etc/secret"' in shown


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("kafka.properties.sasl.password", True),
        ("kafka.properties.sasl.oauthbearer.client.secret", True),
        ("schema_registry.properties.bearer.auth.token", True),
        ("kafka.property_files.sasl.password", False),
        ("kafka.properties.ssl.key.location", False),
        ("kafka.properties.sasl.oauthbearer.token.endpoint.url", False),
        ("batching.max_batch_size", False),
        ("model.trusted_keys.team", False),
    ],
)
def test_a_name_tells_whether_its_value_is_hidden(name: str, secret: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_secret(name) is secret


def test_the_schema_of_a_settings_file_knows_every_section() -> None:
    assert set(json.loads(json_schema())["properties"]) == set(Settings.model_fields)


def test_the_schema_names_bounds_in_the_words_of_json_schema() -> None:
    def nodes(node: object) -> Iterator[Mapping[str, object]]:
        if isinstance(node, dict):
            yield node
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from nodes(inner)

    found = list(nodes(json.loads(json_schema())))
    assert not [node for node in found if {"ge", "gt", "le", "lt"} & set(node)]
    assert [node for node in found if "exclusiveMinimum" in node]
