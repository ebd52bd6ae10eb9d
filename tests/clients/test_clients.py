import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from stream_infer.errors import Stop, WrongUse
from stream_infer.settings import Settings, load_settings
from stream_infer.testing.kafka import Cluster
from stream_infer.transport.clients import (
    SaslFiles,
    admin_config,
    consumer_config,
    create_client,
    output_producer_config,
    producer_config,
    reader_config,
    wait_for_broker,
)

CONFIGS = [consumer_config, producer_config, output_producer_config, reader_config, admin_config]


def settings_with(*sets: str) -> Settings:
    return load_settings(None, sets, {})


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return an address of this machine at which nobody listens, kept while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("make", CONFIGS)
def test_every_client_bears_the_worker_s_name_and_the_properties_for_all(make: Any) -> None:
    config = make(settings_with("worker_id=pod-3", "kafka.properties.socket.keepalive.enable=true"))
    assert config["client.id"] == "pod-3"
    assert config["bootstrap.servers"] == "localhost:9092"
    assert config["socket.keepalive.enable"] == "true"


def test_properties_for_one_kind_of_client_win_over_those_for_all_and_over_defaults() -> None:
    settings = settings_with(
        "kafka.properties.fetch.queue.backoff.ms=7",
        "kafka.consumer_properties.isolation.level=read_uncommitted",
        "kafka.producer_properties.compression.type=zstd",
    )
    assert consumer_config(settings)["fetch.queue.backoff.ms"] == "7"
    assert consumer_config(settings)["isolation.level"] == "read_uncommitted"
    assert producer_config(settings)["compression.type"] == "zstd"
    assert "isolation.level" not in producer_config(settings)


@pytest.mark.parametrize(("profile", "linger_ms"), [("throughput", 5), ("latency", 0)])
def test_the_profile_says_how_long_predictions_linger_unless_a_property_does(profile: str, linger_ms: int) -> None:
    chosen = f"batching.profile={profile}"
    assert producer_config(settings_with(chosen))["linger.ms"] == linger_ms
    assert producer_config(settings_with(chosen, "kafka.producer_properties.linger.ms=3"))["linger.ms"] == "3"


def test_positions_and_delivery_belong_to_the_worker() -> None:
    consumer, producer = consumer_config(settings_with()), producer_config(settings_with())
    assert (consumer["enable.auto.commit"], consumer["enable.auto.offset.store"]) == (False, False)
    assert consumer["auto.offset.reset"] == "error"
    assert consumer["partition.assignment.strategy"] == "cooperative-sticky"
    assert (producer["enable.idempotence"], producer["message.timeout.ms"]) == (True, 0)
    assert (producer["compression.type"], producer["partitioner"]) == ("lz4", "murmur2_random")


def test_the_new_group_protocol_takes_no_assignment_strategy() -> None:
    config = consumer_config(settings_with("kafka.consumer_properties.group.protocol=consumer"))
    assert "partition.assignment.strategy" not in config
    create_client(Consumer, config).close()


def test_a_record_of_the_largest_input_fits_into_a_dead_letter() -> None:
    largest = 5_000_000
    config = producer_config(settings_with(f"delivery.max_record_bytes={largest}"))
    assert config["message.max.bytes"] > largest


def test_secrets_come_from_files_without_their_line_ends(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n", encoding="utf-8")
    config = admin_config(settings_with(f"kafka.property_files.sasl.password={secret}"))
    assert config["sasl.password"] == "hunter2"


def test_a_secret_s_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    settings = settings_with(f"kafka.property_files.sasl.password={tmp_path}/none")
    with pytest.raises(WrongUse) as caught:
        admin_config(settings)
    assert str(caught.value) == (
        f"kafka.property_files.sasl.password is {tmp_path}/none, expected a file that can be read: "
        f"No such file or directory."
    )


class Client:
    def __init__(self) -> None:
        self.credentials: list[tuple[str, str]] = []

    def set_sasl_credentials(self, username: str, password: str) -> None:
        self.credentials.append((username, password))


def test_a_password_s_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("first", encoding="utf-8")
    settings = settings_with("kafka.properties.sasl.username=me", f"kafka.property_files.sasl.password={secret}")
    files, client = SaslFiles(settings), Client()
    assert not files.refresh(client)
    replacement = tmp_path / "new"
    replacement.write_text("second", encoding="utf-8")
    secret.unlink()
    assert not files.refresh(client), "while the file is away the old password holds"
    replacement.rename(secret)
    assert files.refresh(client)
    assert not files.refresh(client)
    assert client.credentials == [("me", "second")]
    another = Client()
    files.give(another)
    assert another.credentials == [("me", "second")]


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("kafka.properties.no.such.thing=1", 'No such configuration property: "no.such.thing"'),
        ("kafka.producer_properties.compression.type=rar", 'Invalid value "rar" for configuration property'),
        ("kafka.consumer_properties.isolation.level=some", 'Invalid value "some" for configuration property'),
    ],
)
def test_properties_that_librdkafka_does_not_take_are_refused_before_anything_is_sent(flag: str, reason: str) -> None:
    with pytest.raises(WrongUse) as caught:
        wait_for_broker(settings_with(flag))
    assert str(caught.value).startswith(f"kafka.properties cannot be used: {reason}")


def test_without_a_broker_the_start_ends_in_time_with_one_sentence(nobody: str) -> None:
    settings = settings_with(f"kafka.bootstrap_servers={nobody}", "kafka.startup_timeout_s=0.5")
    with pytest.raises(Stop) as caught:
        wait_for_broker(settings)
    assert str(caught.value).startswith(f"kafka.bootstrap_servers is {nobody}: no broker answered within 0.5 s")
    assert "Connection refused" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broker_that_is_there_is_found(kafka: Cluster) -> None:
    settings = settings_with(f"kafka.bootstrap_servers={kafka.bootstrap_servers}")
    wait_for_broker(settings)
    assert create_client(Producer, producer_config(settings)).list_topics(timeout=10).brokers
