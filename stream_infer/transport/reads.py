"""A consumer, and where its messages lie, noted by the extension while librdkafka hands them over."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer
from numpy.typing import NDArray

from stream_infer.transport.extension import WHY_NOT, with_plugin

if WHY_NOT is None:
    from stream_infer.transport import _rows

READ: Final = np.dtype(
    [
        ("topic", np.uintp),
        ("offset", np.int64),
        ("timestamp_ms", np.int64),
        ("size", np.int64),
        ("partition", np.int32),
        ("has_headers", np.int32),
    ]
)
"""`topic` is one number for each topic while the client lives; `size` is that of key and value in bytes."""

TakeReads = Callable[[int], NDArray[Any] | None]
"""Returns an array of `READ`, a row for each of so many records that were consumed since the last call, in order.

None where that cannot be told: the records themselves have to be asked.
"""


def make_consumer(properties: Mapping[str, Any]) -> tuple[Consumer, TakeReads]:
    """Return a consumer and what tells of the records that it read; both are for one thread."""
    if WHY_NOT is not None:
        return Consumer(dict(properties)), lambda _: None
    consumer, handle = with_plugin(Consumer, properties)

    def take(records: int) -> NDArray[Any] | None:
        # A rebalance inside a call takes records back that were noted already.
        noted = np.frombuffer(_rows.reads(handle), READ)
        return noted if len(noted) == records else None

    return consumer, take
