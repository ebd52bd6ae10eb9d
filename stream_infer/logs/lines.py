"""Lines: a log record as text, its fields included, its secrets not."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from stream_infer.logs.hidden import Hidden

CONSOLE: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "batch": "number of the batch in this process, in the order in which batches are cut",
        "offsets": "first and last offset of the batch in each of its partitions",
        "revision": "revision of the control topic's state that the line is about; 0: what the settings name",
        "version": "version of the model that the line is about",
        "left_out": "lines of this kind that were not written since the last of them",
    }
)
"""What `extra=` may carry, in the order in which it is shown, and what it means."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, fields, and the traceback of a defect."""

    def __init__(self, *, hidden: Hidden | None = None) -> None:
        super().__init__()
        self._hidden = hidden or Hidden()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._hidden.blot(record.getMessage().strip()),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self._hidden.blot(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class ConsoleFormatter(logging.Formatter):
    """Time, level, logger and message for a person, fields as `name=value` behind them, then the traceback."""

    def __init__(self, *, hidden: Hidden | None = None) -> None:
        super().__init__(CONSOLE)
        self._hidden = hidden or Hidden()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, and those of its traceback."""
        return self._hidden.blot(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line itself."""
        fields = (f" {name}={_one_word(value)}" for name, value in _fields(record).items())
        return super().formatMessage(record) + "".join(fields)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}


def _one_word(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text else text
