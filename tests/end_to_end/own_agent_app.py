"""A user's own Faust app: an agent of theirs on one topic, and the scoring worker beside it."""

import os
import tempfile

import faust

import stream_infer
from stream_infer.settings import load_settings

settings = load_settings(None, (), os.environ)
app = faust.App(
    settings.application_id,
    broker=f"rdkafka://{settings.kafka.bootstrap_servers}",
    datadir=tempfile.mkdtemp(),
    web_port=settings.web.port,
    topic_disable_leader=True,
)
notes = app.topic(os.environ["NOTES_TOPIC"], key_type=bytes, value_type=bytes, value_serializer="raw")
upper = app.topic(os.environ["UPPER_TOPIC"], key_type=bytes, value_type=bytes, value_serializer="raw")
stream_infer.mount(app, settings)


@app.agent(notes)
async def shout(stream: faust.StreamT[bytes]) -> None:
    """Send every note on in capitals, under its key."""
    async for event in stream.events():
        await upper.send(key=event.key, value=event.value.upper())
