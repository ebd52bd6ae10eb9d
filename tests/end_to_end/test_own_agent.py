from dataclasses import replace
from pathlib import Path

from stream_infer.testing.kafka import Topics
from tests.checker.laws import unanswered
from tests.checker.reading import read_topic
from tests.end_to_end.events import Sent, make_events
from tests.end_to_end.harness import SCRIPTS
from tests.end_to_end.job import WIDTH, JobMaker

NOTES = 300
APP = (str(SCRIPTS / "faust"), "-A", "tests.end_to_end.own_agent_app", "worker", "-l", "info")
ROOT = Path(__file__).parents[2]


def test_an_agent_of_the_users_own_gets_its_events_beside_the_worker_and_its_acks_are_committed(
    make_job: JobMaker, topics: Topics
) -> None:
    job = make_job()
    notes, upper = topics.create("notes", 3), topics.create("upper", 3)
    # The notes count as an input, so that waiting for everything to be committed means the agent's topic too.
    both = replace(job, inputs=(*job.inputs, notes))
    sent = [Sent(f"note {number}".encode(), f"key-{number % 20}".encode()) for number in range(NOTES)]
    job.send(make_events(1_000, width=WIDTH))
    job.send(sent[: NOTES // 2], topic=notes)
    with both.crew() as crew:
        worker = crew.start(APP, env={"NOTES_TOPIC": notes, "UPPER_TOPIC": upper, "PYTHONPATH": str(ROOT)})
        crew.until_done()
        job.send(sent[NOTES // 2 :], topic=notes)
        job.send(make_events(500, width=WIDTH, first=1_000))
        crew.until_done()
        assert crew.drain(worker) == 0
    received = {(message.key(), message.value()) for message in read_topic(job.bootstrap_servers, upper)}
    assert received == {(one.key, (one.value or b"").upper()) for one in sent}
    history = job.history([replace(one, ends={}) for one in crew.watch.observed])
    assert unanswered(history) == []
