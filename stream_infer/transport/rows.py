"""A producer that takes whole columns: in one call without Python's lock, or row by row where `_rows.c` is not built.

Both stop at the first row that librdkafka does not take, and say which one that is.
"""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice, repeat
from operator import length_hint
from typing import Any, Final, Protocol

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing
from stream_infer.transport.extension import WHY_NOT, with_plugin

if WHY_NOT is None:
    from stream_infer.transport import _rows

log = logging.getLogger(__name__)

ANY_PARTITION: Final = -1
NOW: Final = 0

Failure = tuple[KafkaError, str]
"""Why a record was given up for good, and the topic that it was for."""


class RowProducer(Protocol):
    """A producer and what it takes rows by."""

    client: Producer

    def produce(self, outgoing: Outgoing, first: int) -> int:
        """Hand over rows from `first` on; return the first that librdkafka does not take, the length if it took all."""
        ...

    def failure(self) -> Failure | None:
        """Return what became of the first record that was given up, None while none was."""
        ...


def make_row_producer(properties: Mapping[str, object]) -> RowProducer:
    """Return a producer with these properties, among them `delivery.report.only.error`."""
    if WHY_NOT is None:
        return AtOnce(properties)
    log.info("answers are handed to librdkafka one by one, which is slower with large batches: %s", WHY_NOT)
    return RowByRow(properties)


class RowByRow:
    """Calls `produce` for each row. A failure is known once the client was polled."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        self._failure: Failure | None = None
        self.client = Producer({**properties, "on_delivery": self._note})

    def produce(self, outgoing: Outgoing, first: int) -> int:
        """Hand rows over; see `RowProducer.produce`."""
        return _produce_each(self.client, outgoing, first)

    def failure(self) -> Failure | None:
        """Return the first failure; see `RowProducer.failure`."""
        return self._failure

    def _note(self, error: KafkaError, message: Message) -> None:
        if self._failure is None:
            self._failure = error, str(message.topic())


class AtOnce:
    """Hands rows over by the extension, which librdkafka loads as a plugin of this client.

    librdkafka's `produce` by way of Python costs 0.5 us a row and another 0.15 us for its report, and each report takes
    Python's lock anew; see docs/decisions/0014-columns-to-and-from-librdkafka.md.
    """

    def __init__(self, properties: Mapping[str, object]) -> None:
        self.client, self._handle = with_plugin(Producer, properties)

    def produce(self, outgoing: Outgoing, first: int) -> int:
        """Hand rows over; see `RowProducer.produce`. Rows with headers, or in a list, go one by one."""
        values = outgoing.values
        if outgoing.headers is not None or not isinstance(values, Packed):
            return _produce_each(self.client, outgoing, first)
        rows, partitions = len(outgoing), outgoing.partitions
        return _rows.produce(
            self._handle,
            outgoing.topic,
            values.offsets,
            values.data,
            outgoing.keys,
            np.full(rows, ANY_PARTITION, np.int32) if partitions is None else np.array(partitions, np.int32),
            np.maximum(outgoing.timestamps_ms, NOW, dtype=np.int64),
            first,
        )

    def failure(self) -> Failure | None:
        """Return the first failure; see `RowProducer.failure`."""
        found = _rows.failure(self._handle)
        return None if found is None else (KafkaError(found[0]), found[1])


def _produce_each(client: Producer, outgoing: Outgoing, first: int) -> int:
    values = iter(outgoing.values[first:])
    columns = (outgoing.keys, *_placed(outgoing))
    # From row to row in C, and by position, which costs half of what names cost.
    calls = map(client.produce, repeat(outgoing.topic), values, *(islice(each, first, None) for each in columns))
    try:
        deque(calls, maxlen=0)
    except (BufferError, KafkaException):
        return len(outgoing) - length_hint(values) - 1
    return len(outgoing)


def produce_one(client: Producer, outgoing: Outgoing, row: int) -> None:
    """Hand one row over; raises what `produce` raises."""
    cells = (next(islice(column, row, None)) for column in _placed(outgoing))
    client.produce(outgoing.topic, outgoing.values[row], outgoing.keys[row], *cells)


def _placed(outgoing: Outgoing) -> tuple[Iterable[Any], ...]:
    """Return what `produce` takes behind topic, value and key: partition, two callbacks, timestamp, headers."""
    partitions = outgoing.partitions or repeat(ANY_PARTITION)
    stamps = np.maximum(outgoing.timestamps_ms, NOW).tolist()
    columns = partitions, repeat(None), repeat(None), stamps
    return columns if outgoing.headers is None else (*columns, [list(each or ()) for each in outgoing.headers])
