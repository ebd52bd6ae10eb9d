"""The net below everything that takes care not to log secrets."""

import json
from pathlib import Path

from stream_infer.logs import ConsoleFormatter, Hidden, JsonFormatter
from stream_infer.settings import load_settings
from stream_infer.settings.secrets import HIDDEN, known_secrets
from tests.logs.made import record

MARK = 'a"mark/of-the secret'


def test_a_secret_is_blotted_out_of_messages_and_tracebacks_in_either_form() -> None:
    hidden = Hidden([MARK])
    for formatter in (JsonFormatter(hidden=hidden), ConsoleFormatter(hidden=hidden)):
        line = formatter.format(record("it is %s", MARK, error=ValueError(f"not {MARK}")))
        assert json.dumps(MARK)[1:-1] not in line
        assert MARK not in line
        assert line.count(HIDDEN) == 2


def test_without_the_net_it_is_seen() -> None:
    assert MARK in ConsoleFormatter().format(record("it is %s", MARK))


def test_a_secret_is_found_as_a_url_spells_it() -> None:
    assert Hidden([MARK]).blot("https://me:a%22mark%2Fof-the%20secret@host/") == f"https://me:{HIDDEN}@host/"


def test_the_longer_of_two_secrets_goes_first_so_that_nothing_of_it_stays() -> None:
    assert Hidden(["secret", "secret-and-more"]).blot("secret-and-more") == HIDDEN


def test_short_secrets_are_not_looked_for() -> None:
    assert Hidden(["a", "", "true"]).blot("a true word") == "a true word"


def test_the_net_itself_tells_nothing() -> None:
    assert MARK not in repr(Hidden([MARK]))


def test_secrets_are_known_from_properties_files_urls_and_the_environment(tmp_path: Path) -> None:
    file, key = tmp_path / "password", tmp_path / "key.pem"
    file.write_text("from-a-file\n", encoding="utf-8")
    key.write_text("-----BEGIN-----\nline-one\nline-two\n", encoding="utf-8")
    settings = load_settings(
        None,
        [
            "kafka.properties.sasl.username=not-secret",
            "kafka.properties.ssl.key.password=from-properties",
            "kafka.consumer_properties.sasl.oauthbearer.client.secret=for-consumers",
            "kafka.producer_properties.sasl.oauthbearer.client.secret=for-producers",
            f"kafka.property_files.sasl.password={file}",
            f"schema_registry.property_files.ssl.key.password={tmp_path / 'absent'}",
            f"kafka.property_files.ssl.key.pem={key}",
            "schema_registry.url=https://me:in%20the%20url@registry:8081",
            "schema_registry.properties.basic.auth.user.info=me:for-the-registry",
        ],
        {},
    )
    environ = {
        "AWS_SECRET_ACCESS_KEY": "for-the-store",
        "MLFLOW_TRACKING_URI": "https://me:for-mlflow@host",
        "GOOGLE_APPLICATION_CREDENTIALS": "/a/file",
        "HOME": "/a/folder",
    }
    known = set(known_secrets(settings, environ))
    assert known >= {
        "from-properties",
        "for-consumers",
        "for-producers",
        "from-a-file",
        "line-one",
        "in the url",
        "me:for-the-registry",
        "for-the-registry",
        "for-the-store",
        "for-mlflow",
    }
    assert not known & {"not-secret", "/a/file", "/a/folder", str(file), "me"}
