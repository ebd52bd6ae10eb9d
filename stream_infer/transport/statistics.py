"""What librdkafka's statistics say: how far partitions reach, and how many brokers answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_infer.records import End, Partition
from stream_infer.transport.known_brokers import PLACES

UP: Final = "UP"


@dataclass(frozen=True, slots=True)
class Statistics:
    """How far each partition reaches that was fetched, and how many brokers answer."""

    ends: Mapping[Partition, End]
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
    return Statistics(ends, brokers.count(UP))


def _end(partition: Mapping[str, int]) -> End:
    high = partition["hi_offset"]
    return End(high, is_drained=partition["next_offset"] >= high and not partition["fetchq_cnt"])
