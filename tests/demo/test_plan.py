import stat
from pathlib import Path

import pytest

from stream_infer.demo.plan import PREFIX, write_settings
from stream_infer.settings import Settings, load_settings

KAFKA = {"bootstrap_servers": "127.0.0.1:9"}


def user(*sets: str) -> Settings:
    return load_settings(None, sets, {})


def test_the_file_holds_what_the_worker_will_read(tmp_path: Path) -> None:
    written = write_settings(tmp_path / "worker.yaml", user(), kafka=KAFKA, repository=tmp_path)
    assert load_settings(tmp_path / "worker.yaml", (), {}) == written
    assert written.kafka.bootstrap_servers == "127.0.0.1:9"
    assert written.model.repository == str(tmp_path)
    assert written.schemas.passthrough == ("digit",)


def test_every_topic_and_the_group_belong_to_one_demo_alone(tmp_path: Path) -> None:
    one, other = (write_settings(tmp_path / name, user(), kafka=KAFKA, repository=tmp_path) for name in "ab")
    assert one.application_id.startswith(PREFIX)
    assert one.application_id != other.application_id
    topics = one.topics
    names = [*topics.input, topics.output, topics.dead_letter, topics.control, topics.status, topics.retry]
    assert all(name.startswith(one.application_id + ".") for name in names)


def test_what_the_user_set_of_batching_delivery_device_and_log_counts(tmp_path: Path) -> None:
    settings = user("batching.max_batch_size=17", "delivery.non_finite=null", "model.device=cpu", "log.level=warning")
    written = write_settings(tmp_path / "worker.yaml", settings, kafka=KAFKA, repository=tmp_path)
    assert written.batching == settings.batching
    assert written.delivery == settings.delivery
    assert written.model.device == "cpu"
    assert written.log == settings.log


def test_a_users_brokers_are_written_with_every_property(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    settings = user(
        "kafka.bootstrap_servers=example:9093",
        "kafka.properties.security.protocol=SASL_SSL",
        f"kafka.property_files.sasl.password={secret}",
        "kafka.producer_properties.linger.ms=1",
    )
    section = settings.kafka.model_dump(mode="json")
    written = write_settings(tmp_path / "worker.yaml", settings, kafka=section, repository=tmp_path)
    assert written.kafka == settings.kafka


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    write_settings(path, user(), kafka=KAFKA, repository=tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_settings_around_the_demo_do_not_reach_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_INFER_TOPICS__OUTPUT", "somebody-elses")
    written = write_settings(tmp_path / "worker.yaml", user(), kafka=KAFKA, repository=tmp_path)
    assert written.topics.output != "somebody-elses"
