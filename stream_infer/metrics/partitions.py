"""How far each partition is behind, and since when: lag, the age of what waits longest, pauses.

A pure fold of what other threads know: positions from the compute thread, ends of topics from librdkafka's statistics.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stream_infer.clock import Clock
from stream_infer.records import End, Mark, Partition

LABELS: Final = ("topic", "partition")
MS_PER_S: Final = 1000.0

Marks = Mapping[Partition, Mark]
Ends = Mapping[Partition, End]


@dataclass(frozen=True, slots=True)
class Behind:
    """One partition: records to score (None while its end is not known), and whether any wait here or there.

    `moved_s` is the monotonic time at which it last moved, or last had nothing to do.
    """

    mark: Mark
    lag: int | None
    moved_s: float

    @property
    def waits(self) -> bool:
        """Whether there is something to score."""
        return self.mark.in_hand or bool(self.lag)

    def age_s(self, *, now_s: float, wall_s: float) -> float:
        """Return the age of the oldest record that is not scored; 0 without one.

        Of a record that was not read yet nobody knows the age: then it is the time since the partition last moved.
        """
        if not self.waits:
            return 0.0
        stamp_ms = self.mark.oldest_ms
        return max(0.0, now_s - self.moved_s if stamp_ms is None else wall_s - stamp_ms / MS_PER_S)


def look(seen: Mapping[Partition, Behind], marks: Marks, ends: Ends, *, now_s: float) -> dict[Partition, Behind]:
    """Return how each partition of `marks` stands now; those that are in `seen` alone have been given up."""
    return {source: _behind(seen.get(source), mark, ends.get(source), now_s=now_s) for source, mark in marks.items()}


def _behind(before: Behind | None, mark: Mark, end: End | None, *, now_s: float) -> Behind:
    lag = None if end is None else end.lag(mark)
    stands = before is not None and before.waits and before.mark.done == mark.done
    return Behind(mark, lag, before.moved_s if before and stands else now_s)


class PartitionWatch(Collector):
    """Families of the partitions that this worker owns, each as of the moment it is asked.

    Between two pages somebody calls `look`, so that a pause is known to about the time between two calls. Both belong
    on one thread; `marks` and `ends` read what other threads write.
    """

    def __init__(self, clock: Clock, *, marks: Callable[[], Marks], ends: Callable[[], Ends]) -> None:
        self._clock = clock
        self._marks = marks
        self._ends = ends
        self._seen: dict[Partition, Behind] = {}

    def look(self) -> float:
        """Note how every partition stands, and return the monotonic time of it."""
        now_s = self._clock.monotonic_s()
        self._seen = look(self._seen, self._marks(), self._ends(), now_s=now_s)
        return now_s

    def collect(self) -> Iterator[Metric]:
        """Yield the three families."""
        now_s, wall_s = self.look(), self._clock.wall_s()
        lag = GaugeMetricFamily(
            "stream_infer_consumer_lag_records", "High watermark minus what is scored.", labels=LABELS
        )
        age = GaugeMetricFamily(
            "stream_infer_oldest_unscored_age_seconds", "Age of the oldest record that is not scored.", labels=LABELS
        )
        for source, behind in self._seen.items():
            labels = source.topic, str(source.partition)
            age.add_metric(labels, behind.age_s(now_s=now_s, wall_s=wall_s))
            if behind.lag is not None:
                lag.add_metric(labels, behind.lag)
        pauses = (now_s - behind.moved_s for behind in self._seen.values() if behind.waits)
        yield lag
        yield age
        yield GaugeMetricFamily(
            "stream_infer_longest_partition_pause_seconds",
            "Longest time for which a partition with records to score has not moved.",
            value=max(pauses, default=0.0),
        )
