from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from stream_infer.testing.registry import registry_process
from tests.checker.laws import unanswered
from tests.end_to_end.events import EVENT, FIRST_TIME_MS, PREDICTION, Sent, encode
from tests.end_to_end.job import JobMaker, Settings
from tests.end_to_end.registry_clients import (
    EVENT_SCHEMA,
    PROMOTED,
    REORDERED,
    WITH_MORE,
    WITHOUT_FEATURES,
    Record,
    RegistryClients,
    event,
)

EVENTS = 500


@pytest.fixture(scope="module")
def registry_url() -> Iterator[str]:
    """Return the address of a registry that runs as a process of its own."""
    with registry_process() as registry:
        yield registry.url


@pytest.fixture
def clients(registry_url: str) -> Iterator[RegistryClients]:
    """Return confluent-kafka's serializers on that registry."""
    with SchemaRegistryClient({"url": registry_url}) as registry:
        # As a topic that several teams write: nobody checks what they register.
        registry.set_compatibility(level="NONE")
        yield RegistryClients(registry)


def settings(url: str) -> Settings:
    return {"schema_registry": {"url": url, "auto_register": True}, "schemas": {"output_format": "confluent"}}


def sent(value: bytes, number: int) -> Sent:
    return Sent(value, f"entity-{number % 50}".encode(), FIRST_TIME_MS + number)


def test_confluents_serializer_feeds_the_worker_and_its_deserializer_reads_the_predictions(
    make_job: JobMaker, registry_url: str, clients: RegistryClients
) -> None:
    job = make_job(settings=settings(registry_url))
    job.send([sent(clients.serialize(job.input, event(number)), number) for number in range(EVENTS)])
    with job.crew() as crew:
        worker = crew.start()
        crew.until_done()
        assert crew.drain(worker) == 0
    history = job.history(
        crew.watch.observed, events=clients.decoder(job.input), predictions=clients.decoder(job.output)
    )
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.predictions) == EVENTS
    assert f"{job.output}-value" in clients.registry.get_subjects()


def test_two_topics_and_several_writer_schemas_in_one_topic_are_scored_as_one_stream(
    make_job: JobMaker, registry_url: str, clients: RegistryClients
) -> None:
    job = make_job(inputs=2, settings={"schema_registry": {"url": registry_url}})
    writers: list[Record] = [EVENT_SCHEMA, REORDERED, WITH_MORE, PROMOTED]
    for number, topic in enumerate(job.inputs):
        of_topic = range(number * EVENTS, (number + 1) * EVENTS)
        job.send([sent(clients.serialize(topic, event(n), writers[n % 4]), n) for n in of_topic], topic=topic)
    # Single-object records of the local schema may lie between them.
    job.send([sent(encode(event(n), EVENT), n) for n in range(2 * EVENTS, 2 * EVENTS + 50)])
    job.send([sent(clients.serialize(job.input, event(n), WITHOUT_FEATURES), n) for n in range(3)])
    with job.crew() as crew:
        worker = crew.start()
        crew.until_done()
        assert crew.drain(worker) == 0
    framed, single = clients.decoder(job.input), EVENT.decoder()
    history = job.history(
        crew.watch.observed,
        events=lambda value: (framed if value[:1] == b"\x00" else single)(value),
        predictions=PREDICTION.decoder(),
    )
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.predictions) == 2 * EVENTS + 50
    assert len(history.dead_letters) == 3
