"""What librdkafka's statistics say of the ends of partitions. They cost no request: fetching brings what they hold."""

import json
from collections.abc import Mapping
from typing import Any, Final

from stream_infer.records import End, Partition

INTERVAL: Final[Mapping[str, object]] = {"statistics.interval.ms": 5000}


def ends_of(statistics: str) -> dict[Partition, End]:
    """Return how far each partition reaches that was fetched."""
    topics: Mapping[str, Any] = json.loads(statistics).get("topics", {})
    return {
        Partition(name, int(number)): _end(one)
        for name, topic in topics.items()
        for number, one in topic["partitions"].items()
        if one["hi_offset"] >= 0
    }


def _end(partition: Mapping[str, int]) -> End:
    high = partition["hi_offset"]
    return End(high, is_drained=partition["next_offset"] >= high and not partition["fetchq_cnt"])
