"""What librdkafka's statistics say: how far partitions reach, and which brokers answer. They cost no request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_infer.records import End, Partition

INTERVAL: Final[Mapping[str, object]] = {"statistics.interval.ms": 5000}
PLACES: Final = frozenset({"learned", "configured"})
"""Sources of brokers that are places, unlike the group's coordinator, which is one of them once more."""
UP: Final = "UP"


@dataclass(frozen=True, slots=True)
class Statistics:
    """How far each partition reaches that was fetched, how many brokers the client knows, and how many answer."""

    ends: Mapping[Partition, End]
    brokers: int
    connected: int


def read_statistics(text: str) -> Statistics:
    """Return what is of use in the statistics of a client, JSON."""
    whole: Mapping[str, Any] = json.loads(text)
    brokers = [one["state"] for one in whole.get("brokers", {}).values() if one["source"] in PLACES]
    ends = {
        Partition(name, int(number)): _end(one)
        for name, topic in whole.get("topics", {}).items()
        for number, one in topic["partitions"].items()
        if one["hi_offset"] >= 0
    }
    return Statistics(ends, len(brokers), brokers.count(UP))


def _end(partition: Mapping[str, int]) -> End:
    high = partition["hi_offset"]
    return End(high, is_drained=partition["next_offset"] >= high and not partition["fetchq_cnt"])
