"""A producer that takes whole columns: in one call without Python's lock, or one by one where there is no extension."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from itertools import repeat
from operator import length_hint
from typing import Final, Protocol

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_infer.logs import Repeated
from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing
from stream_infer.transport.extension import WHY_NOT, with_plugin

if WHY_NOT is None:
    from stream_infer.transport import _rows

repeated = Repeated(logging.getLogger(__name__))

ANY_PARTITION: Final = -1
NOW: Final = 0

Failure = tuple[KafkaError, str]
"""Why a record was given up for good, and the topic that it was for."""


class RowProducer(Protocol):
    """A producer and what it takes rows by."""

    client: Producer

    def send(self, outgoing: Outgoing, *, refused: Callable[[int], None]) -> None:
        """Hand over all rows in order; `refused` is called with a row that librdkafka does not take, which it may send.

        Nothing behind that row is sent before it returns, nor when it raises.
        """
        ...

    def failure(self) -> Failure | None:
        """Return what became of the first record that was given up, None while none was."""
        ...


def make_row_producer(properties: Mapping[str, object]) -> RowProducer:
    """Return a producer with these properties, among them `delivery.report.only.error`."""
    if WHY_NOT is None:
        return AtOnce(properties)
    repeated.info("answers are handed to librdkafka one by one, which is slower with large batches: %s", WHY_NOT)
    return RowByRow(properties)


class RowByRow:
    """Calls `produce` for each row. A failure is known once the client was polled."""

    def __init__(self, properties: Mapping[str, object]) -> None:
        self._failure: Failure | None = None
        self.client = Producer({**properties, "on_delivery": self._note})

    def send(self, outgoing: Outgoing, *, refused: Callable[[int], None]) -> None:
        """Hand rows over; see `RowProducer.send`."""
        _send_each(self.client, outgoing, refused)
        self.client.poll(0)

    def failure(self) -> Failure | None:
        """Return the first failure; see `RowProducer.failure`."""
        return self._failure

    def _note(self, error: KafkaError, message: Message) -> None:
        if self._failure is None:
            self._failure = error, str(message.topic())


class AtOnce:
    """Hands rows over by the extension, which librdkafka loads as a plugin of this client.

    librdkafka's `produce` by way of Python costs 0.5 us a row and another 0.15 us for its report, and each report takes
    Python's lock anew; see docs/decisions/0014-columns-to-and-from-librdkafka.md. A failure is known at once; a row
    that is refused for a partition that is not there is one too.
    """

    def __init__(self, properties: Mapping[str, object]) -> None:
        self.client, self._handle = with_plugin(Producer, properties)

    def send(self, outgoing: Outgoing, *, refused: Callable[[int], None]) -> None:
        """Hand rows over; see `RowProducer.send`. Rows with headers, or in a list, go one by one."""
        values, rows = outgoing.values, len(outgoing)
        if outgoing.headers is not None or not isinstance(values, Packed):
            _send_each(self.client, outgoing, refused)
            return
        partitions = outgoing.partitions
        columns = (
            values.offsets,
            values.data,
            tuple(outgoing.keys),
            np.full(rows, ANY_PARTITION, np.int32) if partitions is None else np.array(partitions, np.int32),
            np.maximum(outgoing.timestamps_ms, NOW, dtype=np.int64),
        )
        taken = _rows.produce(self._handle, outgoing.topic, *columns, 0)
        while taken < rows:
            refused(taken)
            taken = _rows.produce(self._handle, outgoing.topic, *columns, taken + 1)

    def failure(self) -> Failure | None:
        """Return the first failure; see `RowProducer.failure`."""
        found = _rows.failure(self._handle)
        return None if found is None else (KafkaError(found[0]), found[1])


def _send_each(client: Producer, outgoing: Outgoing, refused: Callable[[int], None]) -> None:
    rows = len(outgoing)
    values = iter(outgoing.values)
    partitions = outgoing.partitions or repeat(ANY_PARTITION)
    stamps = np.maximum(outgoing.timestamps_ms, NOW).tolist()
    columns = outgoing.keys, partitions, repeat(None), repeat(None), stamps
    headers = () if outgoing.headers is None else ([list(each or ()) for each in outgoing.headers],)
    # From row to row in C, and by position, which costs half of what names cost.
    calls = map(client.produce, repeat(outgoing.topic), values, *columns, *headers)
    while length_hint(values):
        try:
            deque(calls, maxlen=0)
        except (BufferError, KafkaException):
            # The calls go on behind the row that failed.
            refused(rows - length_hint(values) - 1)


def send_one(client: Producer, outgoing: Outgoing, row: int) -> None:
    """Hand one row over; raises what `produce` raises."""
    stamp = max(int(outgoing.timestamps_ms[row]), NOW)
    partition = ANY_PARTITION if outgoing.partitions is None else outgoing.partitions[row]
    headers = () if outgoing.headers is None else (list(outgoing.headers[row] or ()),)
    client.produce(outgoing.topic, outgoing.values[row], outgoing.keys[row], partition, None, None, stamp, *headers)
