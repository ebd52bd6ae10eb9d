"""The control topic, the status topic and the group's members, as a real broker has them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_infer.errors import Retry, Stop
from stream_infer.rollout.fold import Entry
from stream_infer.rollout.status import WorkerStatus
from stream_infer.settings import Settings, load_settings
from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.control import ControlReader, ControlWriter, check_control_topic
from stream_infer.transport.members import Members
from stream_infer.transport.status import StatusReader, StatusWriter
from stream_infer.transport.topics import CONTROL_CONFIG, WantedTopic, admin_for

WITHIN_S = 30.0
STATUS = WorkerStatus("fraud-app", "fraud", "worker-a", 3, (), None, "2026-01-01T00:00:00+00:00")


@pytest.fixture
def settings(kafka: Cluster, topics: Topics) -> Settings:
    """Return settings of topics that are this test's own."""
    return settings_on(kafka, topics)


def settings_on(kafka: Cluster, topics: Topics) -> Settings:
    """Return settings with a control topic as it should be and a status topic of three partitions."""
    kept = {name.replace(".", "_"): value for name, value in CONTROL_CONFIG.items()}
    return load_settings(
        None,
        [
            f"kafka.bootstrap_servers={kafka.bootstrap_servers}",
            "application_id=fraud-app",
            f"topics.control={topics.create('control', 1, **kept)}",
            f"topics.status={topics.create('status', 3)}",
        ],
        {},
    )


@pytest.fixture
def closed() -> Iterator[ExitStack]:
    """Return a stack that closes at the end of the test."""
    with ExitStack() as stack:
        yield stack


def read_all(reader: ControlReader, *, end: int) -> list[Entry]:
    found: list[Entry] = []
    while reader.position < end:
        found += reader.read(WITHIN_S)
    return found


def append(settings: Settings, *values: bytes) -> int:
    writer = ControlWriter(settings)
    return [writer.append(value, key=b"fraud") for value in values][-1]


def test_what_is_appended_is_read_from_the_beginning_in_order(settings: Settings, closed: ExitStack) -> None:
    assert append(settings, b"one", b"two", b"three") == 2
    reader = closed.enter_context(closing(ControlReader(settings)))
    found = read_all(reader, end=reader.end_offset())
    assert [(one.offset, one.key, one.value) for one in found] == [
        (0, b"fraud", b"one"),
        (1, b"fraud", b"two"),
        (2, b"fraud", b"three"),
    ]
    assert all(one.timestamp_ms > 0 for one in found)
    offset = append(settings, b"four")
    assert [(one.offset, one.value) for one in read_all(reader, end=offset + 1)] == [(3, b"four")]


def test_two_readers_of_one_application_read_the_whole_log_each(settings: Settings, closed: ExitStack) -> None:
    end = append(settings, b"one", b"two") + 1
    readers = [closed.enter_context(closing(ControlReader(settings))) for _ in range(2)]
    assert [len(read_all(reader, end=end)) for reader in readers] == [2, 2]


def test_the_end_is_reached_over_aborted_records_and_marks_of_transactions(
    settings: Settings, closed: ExitStack
) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "transactional.id": settings.topics.control}
    )
    producer.init_transactions(WITHIN_S)
    for value, end in ((b"kept", producer.commit_transaction), (b"dropped", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(settings.topics.control, value)
        producer.flush()
        end(WITHIN_S)
    reader = closed.enter_context(closing(ControlReader(settings)))
    until_s = time.monotonic() + WITHIN_S
    # The coordinator answers the end of a transaction before its mark is in the topic.
    while reader.end_offset() < 4 and time.monotonic() < until_s:
        producer.poll(0.05)
    end_offset = reader.end_offset()
    assert end_offset == 4
    assert [one.value for one in read_all(reader, end=end_offset)] == [b"kept"]


def test_the_end_is_reached_where_the_first_records_are_gone(settings: Settings, closed: ExitStack) -> None:
    append(settings, b"one", b"two")
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    where = TopicPartition(settings.topics.control, 0, 2)
    for done in admin.delete_records([where]).values():
        done.result(WITHIN_S)
    reader = closed.enter_context(closing(ControlReader(settings)))
    assert read_all(reader, end=reader.end_offset()) == []
    assert reader.position == 2


def test_a_log_that_was_made_anew_ends_its_readers_with_what_to_do(settings: Settings, closed: ExitStack) -> None:
    name = settings.topics.control
    end = append(settings, b"one", b"two") + 1
    reader = closed.enter_context(closing(ControlReader(settings)))
    read_all(reader, end=end)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    admin.delete_topics([name], operation_timeout=WITHIN_S)[name].result(WITHIN_S)
    admin_for(settings).create([WantedTopic(name, 1)])
    with pytest.raises(Stop, match=f"Topic {name} lost records before they were read, or was made anew: start again"):
        read_all(reader, end=end + 1)


def test_an_outage_is_told_once_and_waited_out(
    stoppable_kafka: Cluster, closed: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    topics = Topics(stoppable_kafka.bootstrap_servers)
    settings = settings_on(stoppable_kafka, topics)
    append(settings, b"one")
    reader = closed.enter_context(closing(ControlReader(settings)))
    read_all(reader, end=1)
    stoppable_kafka.stop()
    with pytest.raises(Retry, match=f"the end of topic {settings.topics.control} is not known"):
        reader.end_offset()
    assert reader.read(1.0) == []
    stoppable_kafka.start()
    append(settings, b"two")
    assert [one.value for one in read_all(reader, end=2)] == [b"two"]
    topics.delete_all()
    told = [record.getMessage() for record in caplog.records if "cannot be read for now" in record.getMessage()]
    assert len(told) == len(set(told)) <= 2, told


def test_a_control_topic_that_keeps_every_record_passes(settings: Settings) -> None:
    check_control_topic(admin_for(settings), settings)


def test_a_missing_topic_is_named_with_the_command_that_makes_it(settings: Settings, topics: Topics) -> None:
    for role in ("control", "status"):
        missing = topics.name(role)
        named = settings.model_copy(update={"topics": settings.topics.model_copy(update={role: missing})})
        with pytest.raises(Stop, match=f"Topic {missing} is not on .* run `stream-infer topics create`"):
            check_control_topic(admin_for(named), named)


def test_a_control_topic_that_loses_records_is_refused_with_what_to_do(settings: Settings, topics: Topics) -> None:
    compacted = topics.create("compacted", 1, cleanup_policy="compact")
    named = settings.model_copy(update={"topics": settings.topics.model_copy(update={"control": compacted})})
    with pytest.raises(Stop) as caught:
        check_control_topic(admin_for(named), named)
    assert f"Topic {compacted} has cleanup.policy=compact, expected delete" in str(caught.value)
    assert str(caught.value).endswith("Set it so, or make another one and name it in topics.control.")


def test_a_broker_that_cannot_tell_is_believed_and_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with MockCluster() as cluster:
        settings = load_settings(None, [f"kafka.bootstrap_servers={cluster.bootstrap_servers}"], {})
        cluster.create_topics([settings.topics.control, settings.topics.status], partitions=1)
        check_control_topic(admin_for(settings), settings)
        assert Members(settings).live() is None
    assert "do not tell whether topic stream-infer.control keeps every record" in caplog.text


def test_the_newest_word_of_each_worker_counts_whatever_partition_it_is_in(
    settings: Settings, closed: ExitStack
) -> None:
    writer = StatusWriter(settings)
    for revision in (1, 2, 3):
        for number in range(5):
            writer.write(replace(STATUS, worker=f"worker-{number}", applied_revision=revision))
    writer.close()
    reader = closed.enter_context(closing(StatusReader(settings, model="fraud")))
    reader.read_to_end()
    assert {one.worker: one.applied_revision for one in reader.latest.values()} == {
        f"worker-{number}": 3 for number in range(5)
    }


def test_words_of_other_models_applications_and_programs_are_passed_over(settings: Settings, closed: ExitStack) -> None:
    reader = closed.enter_context(closing(StatusReader(settings, model="fraud")))
    reader.read_to_end()
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    producer.produce(settings.topics.status, b"no status", b"key")
    producer.produce(settings.topics.status, None, b"key")
    assert producer.flush(WITHIN_S) == 0
    writer = StatusWriter(settings)
    for other in (replace(STATUS, model="ranking"), replace(STATUS, application_id="other"), STATUS):
        writer.write(other)
    writer.close()
    heard: list[WorkerStatus] = []
    while not heard:
        heard += reader.read(WITHIN_S)
    assert (heard, reader.latest) == ([STATUS], {"worker-a": STATUS})


def test_statuses_are_read_where_the_oldest_are_gone(settings: Settings, closed: ExitStack) -> None:
    writer = StatusWriter(settings)
    for revision in (1, 2):
        writer.write(replace(STATUS, applied_revision=revision))
    writer.close()
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    oldest = [TopicPartition(settings.topics.status, partition, 1) for partition in range(3)]
    gone = [done.exception(WITHIN_S) is None for done in admin.delete_records(oldest).values()]
    assert sum(gone) == 1
    reader = closed.enter_context(closing(StatusReader(settings, model="fraud")))
    reader.read_to_end()
    assert reader.latest["worker-a"].applied_revision == 2


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_live_workers_are_the_members_of_the_group_under_either_protocol(
    settings: Settings, topics: Topics, protocol: str
) -> None:
    group = topics.name("group")
    members = Members(settings.model_copy(update={"application_id": group}))
    assert ask(members) == frozenset()
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": group,
            "client.id": "worker-a",
            "group.protocol": protocol,
        }
    )
    with closing(consumer):
        consumer.subscribe([settings.topics.status])
        while not consumer.assignment():
            consumer.poll(WITHIN_S / 100)
        assert ask(members) == frozenset({"worker-a"})
    assert ask(members) == frozenset()


def ask(members: Members) -> frozenset[str] | None:
    """Return the answer; a group's coordinator may not be there yet in a cluster that has just started."""
    while True:
        with suppress(Retry):
            return members.live()


def test_a_writer_that_knows_of_no_broker_hands_its_last_word_to_another_producer() -> None:
    often = load_settings(None, ["kafka.properties.statistics.interval.ms=50"], {})
    nowhere = often.kafka.model_copy(update={"bootstrap_servers": ""})
    writer = StatusWriter(often.model_copy(update={"kafka": nowhere}))
    first = writer._producer
    for revision in (1, 2):
        writer.write(replace(STATUS, applied_revision=revision))
    until_s = time.monotonic() + WITHIN_S
    while writer._producer is first and time.monotonic() < until_s:
        first.poll(0.05)
        writer.look()
    assert writer._producer is not first
    assert len(writer._producer) == 1
