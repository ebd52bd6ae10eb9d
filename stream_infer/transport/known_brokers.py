"""Whether a client still knows of any broker.

librdkafka forgets all of them, and waits for ever, when a cluster that ends or starts answers with a description
without brokers just before the connection breaks (its issue 5301, in 2.16 too). Nothing but another client helps then.
"""

from collections.abc import Mapping
from typing import Final

STATISTICS: Final[Mapping[str, object]] = {"statistics.interval.ms": 5000}
"""A default of the clients that are watched; statistics cost no request."""
LOST_AFTER: Final = 2
"""Statistics in a row without a broker; a single one may be a moment between forgetting brokers and finding others."""
PLACES: Final = frozenset({"learned", "configured"})
"""Sources of brokers that are places, unlike the group's coordinator, which is one of them once more."""
MARKS: Final = tuple(f'"source":"{place}"' for place in sorted(PLACES))


class KnownBrokers:
    """Hears the statistics of one client, inside whichever of its calls serves callbacks."""

    def __init__(self) -> None:
        self._without = 0

    def hear(self, statistics: str) -> None:
        """Look for brokers in statistics, JSON as librdkafka writes it; to be the client's `stats_cb`."""
        self._without = 0 if any(mark in statistics for mark in MARKS) else self._without + 1

    @property
    def are_lost(self) -> bool:
        """Whether the client knows of none any more, and must be replaced."""
        return self._without >= LOST_AFTER
