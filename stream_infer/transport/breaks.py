"""Which of a client's connections broke, as librdkafka logs it: nothing else tells."""

import logging
from typing import Final, Protocol

FAILURE: Final = "FAIL"
WHILE_UP: Final = "in state UP"
"""Of a connection that requests may have been under way on, unlike one that could not be opened."""


class Log(Protocol):
    """Where a client of confluent-kafka writes what librdkafka logs."""

    def log(self, level: int, text: str, /, *values: object) -> None:
        """Write one line."""
        ...


class Breaks:
    """A client's `logger`, which passes everything on; `noted` says whether a connection has broken.

    Lines reach it when the client is polled. It needs librdkafka's `log_level` 6 and `log.connection.close`.
    """

    def __init__(self, log: Log | None) -> None:
        self._log = log or logging.getLogger("librdkafka")
        self.noted = False

    def log(self, level: int, text: str, /, *values: object) -> None:
        """Take a line whose values are a facility, a client and a sentence."""
        if values and values[0] == FAILURE and WHILE_UP in str(values[-1]):
            self.noted = True
        self._log.log(level, text, *values)
