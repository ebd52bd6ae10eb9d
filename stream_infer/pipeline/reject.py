"""Reject: records that cannot be scored go to the dead-letter topic, verbatim, with the reason in headers."""

from collections.abc import Iterator, Sequence

from stream_infer.errors import Reject, Stop
from stream_infer.pipeline.ports import Outgoing, OutputProducer
from stream_infer.records import Headers, Records

PREFIX = "__streams.errors."


class DeadLetters:
    """Sends refused records to one topic. The header names are those of Kafka Streams' dead-letter queue (KIP-1034)."""

    def __init__(self, topic: str, *, producer: OutputProducer) -> None:
        self._topic = topic
        self._producer = producer

    def send(self, records: Records, rejects: Sequence[Reject], *, model_version: str) -> None:
        """Send one batch's refusals; raises `Stop` when one cannot be written: nothing may be lost."""
        if not rejects:
            return
        rows = [reject.row for reject in rejects]
        outgoing = Outgoing(
            self._topic,
            [records.keys[row] for row in rows],
            [records.values[row] for row in rows],
            [records.timestamps_ms[row] for row in rows],
            headers=[_headers(records, reject, model_version) for reject in rejects],
        )
        for one in self._producer.send(outgoing):
            source, offset = records.position(rows[one.row])
            message = f"cannot dead-letter {source} offset {offset}: {one.message}; raise message.max.bytes"
            raise Stop(message)


def _headers(records: Records, reject: Reject, model_version: str) -> Headers:
    own = list((records.headers[reject.row] if records.headers else None) or ())
    return own + [(name, value.encode()) for name, value in _describe(records, reject, model_version)]


def _describe(records: Records, reject: Reject, model_version: str) -> Iterator[tuple[str, str]]:
    source, offset = records.position(reject.row)
    yield PREFIX + "exception", str(reject.reason)
    yield PREFIX + "message", reject.message
    yield PREFIX + "stacktrace", ""
    yield PREFIX + "topic", source.topic
    yield PREFIX + "partition", str(source.partition)
    yield PREFIX + "offset", str(offset)
    yield "stream_infer.stage", str(reject.stage)
    yield "stream_infer.model_version", model_version
