"""A worker on Faust as it comes, written as its documentation says: an agent that takes batches, and `topic.send`.

Its own transport (aiokafka) and its own defaults, without the web server; codec and model are those of the loops.
"""

import tempfile
from typing import Any

import faust

from benchmarks.job import LoopJob
from benchmarks.loop import Asked, Tally, asked

WITHIN_S = 1.0


def make_app(ask: Asked, tally: Tally, *, folder: str) -> faust.App:
    app = faust.App(
        ask.group,
        broker=f"kafka://{ask.servers}",
        value_serializer="raw",
        key_serializer="raw",
        topic_disable_leader=True,
        web_enabled=False,
        datadir=folder,
    )
    source, output, job = app.topic(ask.source), app.topic(ask.output), LoopJob(ask.repository)

    @app.agent(source)
    async def score(stream: faust.StreamT[Any]) -> None:
        async for events in stream.take_events(ask.batch, within=WITHIN_S):  # type: ignore[attr-defined] # the class has it
            messages = [event.message for event in events]
            answers = job.answer(
                [event.value for event in events],
                ask.source,
                [one.partition for one in messages],
                [one.offset for one in messages],
            )
            for answer, message in zip(answers, messages, strict=True):
                await output.send(key=message.key, value=answer, timestamp=message.timestamp)
            tally.count(len(events))

    return app


def main() -> None:
    ask, tally = asked(), Tally()
    with tempfile.TemporaryDirectory() as folder:
        worker = faust.Worker(make_app(ask, tally, folder=folder), loglevel="warning")
        try:
            worker.execute_from_commandline()
        finally:
            tally.tell(ask.told)


if __name__ == "__main__":
    main()
