"""How the worker logs: one line an event, for a person on a terminal, as JSON otherwise."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from stream_infer.errors import StreamInferError

FAUST_LOGGERS: Final = ("faust", "mode", "stream_infer.transport.consumer", "stream_infer.transport.producer")
CONSOLE: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, and the traceback of a defect."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class OwnErrorsOnce(logging.Filter):
    """Leaves out the tracebacks with which Faust repeats an error that this package raised and reported itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for such a repetition."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        return not isinstance(error, StreamInferError)


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`; `form` is the setting `log.format`."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"console": {"format": CONSOLE}, "json": {"()": JsonFormatter}},
        "filters": {"own_errors_once": {"()": OwnErrorsOnce}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json" if as_json else "console",
                "filters": ["own_errors_once"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {name: {"level": _quieter(level)} for name in FAUST_LOGGERS},
    }


def _quieter(level: str) -> str:
    """Return the level for Faust's own messages, which say at info what this package says in fewer words."""
    return "DEBUG" if level == "debug" else "WARNING"
