"""Loggers and lines made up for tests."""

import logging
from collections.abc import Mapping
from itertools import count
from typing import Any


def record(
    message: str,
    *args: Any,
    error: BaseException | None = None,
    logger: str = "stream_infer.some",
    extra: Mapping[str, object] | None = None,
) -> logging.LogRecord:
    """Return what logging makes of a call; its time is fixed."""
    made = logging.getLogger(logger).makeRecord(
        logger, logging.ERROR, __file__, 1, message, args, None, extra=extra and dict(extra)
    )
    made.created = 1_000_000.0
    made.exc_info = (type(error), error, None) if error else None
    return made


class Kept(logging.Handler):
    """Keeps every record that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, given: logging.LogRecord) -> None:
        self.records.append(given)

    def told(self) -> list[tuple[str, int]]:
        """Return each line with how many like it were left out."""
        return [(one.getMessage(), getattr(one, "left_out", 0)) for one in self.records]


def keeping() -> tuple[logging.Logger, Kept]:
    """Return a logger that nobody else has, and what keeps its lines."""
    logger, kept = logging.getLogger(f"made.{next(_NUMBERS)}"), Kept()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(kept)
    return logger, kept


_NUMBERS = count(1)
