"""Every metric of the worker, declared once.

written       what the threads count while they work: per batch, never per record
unsure        what was answered and may still be rolled back
histogram     histograms that take a whole batch at a time
report        the same counts as a line of the log
"""

from stream_infer.metrics.histogram import DURATION_BUCKETS_S, SIZE_BUCKETS
from stream_infer.metrics.report import Reporter, final_line
from stream_infer.metrics.unsure import Totals
from stream_infer.metrics.written import Metrics

__all__ = ["DURATION_BUCKETS_S", "SIZE_BUCKETS", "Metrics", "Reporter", "Totals", "final_line"]
