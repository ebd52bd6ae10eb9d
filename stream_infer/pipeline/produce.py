"""Produce: prediction bytes to the output topic, keyed, stamped and partitioned as the input was."""

from collections.abc import Mapping, Sequence

from stream_infer.errors import Reason, Reject, Stage
from stream_infer.pipeline.encode import Encoded
from stream_infer.pipeline.ports import Outgoing, OutputProducer
from stream_infer.records import Partition, Records
from stream_infer.tracing import carry


class Predictions:
    """Sends predictions to one topic.

    A key decides the partition, by Java's murmur2; a record without a key goes to the partition number that it came
    from when both topics have as many partitions, so that its order survives. `partitions` are the counts of topics as
    they were at the start: asked for later they may not be told, and a guess would put a record into another partition
    than those before it. Where batches are `traced`, a prediction takes over its record's trace context.
    """

    def __init__(
        self, topic: str, *, producer: OutputProducer, partitions: Mapping[str, int], traced: bool = False
    ) -> None:
        self._topic = topic
        self._producer = producer
        self._counts = partitions
        self._traced = traced

    def send(self, records: Records, encoded: Encoded) -> list[Reject]:
        """Send one batch; return the rows whose prediction is too large to send."""
        if not encoded.rows:
            return []
        whole = len(encoded.rows) == len(records)
        keys = records.keys if whole else [records.keys[row] for row in encoded.rows]
        stamps = records.timestamps_ms if whole else records.timestamps_ms[encoded.rows]
        partitions = None if all(keys) or None not in keys else self._partitions(records, keys, encoded.rows)
        headers = carry(records.headers, encoded.rows) if self._traced and records.headers else None
        outgoing = Outgoing(self._topic, keys, encoded.values, stamps, partitions, headers)
        return [
            Reject(encoded.rows[one.row], Stage.PRODUCE, Reason.TOO_LARGE, one.message)
            for one in self._producer.send(outgoing)
        ]

    def _partitions(self, records: Records, keys: Sequence[bytes | None], rows: Sequence[int]) -> list[int]:
        pairs = zip(keys, rows, strict=True)
        ours = self._counts.get(self._topic, 0)
        if records.origins:
            # The topic of an origin is only a text in a header: nobody is asked about it.
            origins = [records.origin(row).source.partition if key is None else ours for key, row in pairs]
            return [number if number < ours else -1 for number in origins]
        numbers = [self._number(run.source, ours) for run in records.runs]
        run_of_row = records.run_numbers().tolist()
        return [numbers[run_of_row[row]] if key is None else -1 for key, row in pairs]

    def _number(self, source: Partition, ours: int) -> int:
        """Return the output partition for records without a key; -1 for any, also where partitions were added since."""
        return source.partition if self._counts.get(source.topic) == ours and source.partition < ours else -1
