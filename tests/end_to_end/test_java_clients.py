import random

import pytest

from stream_infer.testing.kafka import Cluster, Unavailable
from tests.checker.laws import unanswered
from tests.checker.reading import AvroReader
from tests.end_to_end.events import EVENT, PREDICTION, encode
from tests.end_to_end.java import KEY_END, console_consume, console_produce
from tests.end_to_end.job import WIDTH, JobMaker

EVENTS = 300
# The console speaks text. These floats are four bytes below 0x80 each, so an event of them is ASCII as it stands.
ASCII_FLOATS = (0.0, 0.5, 0.75, 2.0, 3.0, 8.0, 12.0)
RAW_EVENT = AvroReader(EVENT.schema, framed=False)


@pytest.fixture
def classpath(kafka: Cluster) -> str:
    """Return the class path of Kafka's tools."""
    try:
        return kafka.classpath
    except Unavailable as reason:
        pytest.skip(f"no Kafka tools: {reason}")


def lines() -> list[str]:
    """Return `key<tab>value` lines whose values are raw Avro events."""
    chosen = random.Random(5)
    made = []
    for number in range(EVENTS):
        numbers = [chosen.choice(ASCII_FLOATS) for _ in range(WIDTH)]
        event = {"event_id": f"id-{number:04}", "entity_id": "java-entity", "event_time": 17, "features": numbers}
        text = encode(event, RAW_EVENT).decode("ascii")
        assert not {"\n", "\r"} & set(text)
        made.append(f"customer-{number % 97}{KEY_END}{text}")
    return made


def test_java_console_clients_feed_the_worker_and_read_its_predictions_in_the_partition_of_their_keys(
    make_job: JobMaker, classpath: str
) -> None:
    job = make_job(partitions=5, settings={"schemas": {"input_format": "raw"}})
    console_produce(classpath, job.bootstrap_servers, job.input, lines())
    with job.crew() as crew:
        worker = crew.start()
        crew.until_done()
        assert crew.drain(worker) == 0
    history = job.history(crew.watch.observed, events=RAW_EVENT.decoder())
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert len(history.predictions) == EVENTS
    assert {one.place.partition for one in history.predictions} == set(range(5))
    assert all(one.place.partition == one.source.partition for one in history.predictions)

    decode = PREDICTION.decoder()
    shown = console_consume(classpath, job.bootstrap_servers, job.output, count=EVENTS)
    seen = {(one.partition, one.key, decode(one.value)["event_id"]) for one in shown}
    assert seen == {(one.place.partition, one.key, one.event_id) for one in history.predictions}
