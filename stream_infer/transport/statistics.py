"""What librdkafka's statistics say of the ends of partitions. They cost no request: fetching brings what they hold."""

import json
from collections.abc import Mapping
from typing import Any, Final

from stream_infer.records import Partition

INTERVAL: Final[Mapping[str, object]] = {"statistics.interval.ms": 5000}


def ends_of(statistics: str) -> dict[Partition, int]:
    """Return for each partition that was fetched the offset that a position reaches when nothing is left to score.

    That is the high watermark, or where the application stands when all below the watermark was fetched and handed
    over: what lies between is none of its business, as markers of transactions are.
    """
    topics: Mapping[str, Any] = json.loads(statistics).get("topics", {})
    return {
        Partition(name, int(number)): _end(one)
        for name, topic in topics.items()
        for number, one in topic["partitions"].items()
        if one["hi_offset"] >= 0
    }


def _end(partition: Mapping[str, int]) -> int:
    high = partition["hi_offset"]
    is_drained = partition["next_offset"] >= high and not partition["fetchq_cnt"]
    return min(high, max(partition["app_offset"], 0)) if is_drained else high
