"""Every metric of the worker, declared once.

table         the metrics that threads write, by name
written       what the threads count while they work: per batch, never per record
unsure        what was answered and may still be rolled back
scores        what the model says, by version and label
busy          shares of the last minute
histogram     histograms that take a whole batch at a time
readings      what is read from elsewhere whenever somebody asks
partitions    how far each partition is behind, and since when
report        the same counts as a line of the log
"""

from stream_infer.metrics.busy import BusyTime
from stream_infer.metrics.histogram import DURATION_BUCKETS_S, SIZE_BUCKETS
from stream_infer.metrics.partitions import PartitionWatch
from stream_infer.metrics.readings import Reading, Readings
from stream_infer.metrics.report import Reporter, final_line
from stream_infer.metrics.scores import Said
from stream_infer.metrics.unsure import Totals
from stream_infer.metrics.written import Metrics

__all__ = [
    "DURATION_BUCKETS_S",
    "SIZE_BUCKETS",
    "BusyTime",
    "Metrics",
    "PartitionWatch",
    "Reading",
    "Readings",
    "Reporter",
    "Said",
    "Totals",
    "final_line",
]
