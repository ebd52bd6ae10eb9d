"""Families that are read from elsewhere whenever somebody asks, so that whoever knows them keeps no count."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Values = float | Mapping[str, float] | Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Reading:
    """One family: `read` returns its value, or with `labels` a value for each label or tuple of labels.

    It is called on the thread that asks. A counter's name has no `_total` here.
    """

    kind: Literal["gauge", "counter"]
    name: str
    documentation: str
    read: Callable[[], Values]
    labels: tuple[str, ...] = ()

    def family(self) -> Metric:
        """Return the family as of now."""
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(f"stream_infer_{self.name}", self.documentation, labels=self.labels)
        values = self.read()
        for labels, value in values.items() if isinstance(values, Mapping) else [((), values)]:
            family.add_metric((labels,) if isinstance(labels, str) else labels, value)
        return family


class Readings(Collector):
    """A table of readings."""

    def __init__(self, table: Sequence[Reading]) -> None:
        self._table = table

    def collect(self) -> Iterator[Metric]:
        """Yield the families in the order of the table."""
        yield from (reading.family() for reading in self._table)
