"""How the worker logs: one line an event, for a person on a terminal, as JSON otherwise."""

import json
import logging
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from stream_infer.errors import StreamInferError

FAUST_LOGGERS: Final = ("faust", "mode", "stream_infer.transport.consumer", "stream_infer.transport.producer")
REPEAT_S: Final = 10.0
DIGITS: Final = re.compile(r"\d+")
FAUST_CRASH: Final = "We experienced a crash!"
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
    """Leaves out what Faust says of an error that this package raised and reported itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for such a repetition."""
        if not record.name.startswith(FAUST_LOGGERS):
            return True
        named = record.args if isinstance(record.args, tuple) else ()
        raised = record.exc_info[1:2] if isinstance(record.exc_info, tuple) else ()
        ours = any(isinstance(one, StreamInferError) for one in (*named, *raised))
        return not ours and FAUST_CRASH not in str(record.msg)


class FewRepeats(logging.Filter):
    """Lets one librdkafka message of a kind through every ten seconds, and says how many more there were.

    While a broker is away every client reports every attempt to reach it, which is twenty lines a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}
        self._held_back: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged; two messages are of a kind when they differ in digits only."""
        kind = DIGITS.sub("", record.getMessage())
        if record.created - self._said_at.get(kind, 0.0) < REPEAT_S:
            self._held_back[kind] += 1
            return False
        self._said_at[kind] = record.created
        if more := self._held_back.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} (and {more} like it)", ()
        return True


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`; `form` is the setting `log.format`."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"console": {"format": CONSOLE}, "json": {"()": JsonFormatter}},
        "filters": {"own_errors_once": {"()": OwnErrorsOnce}, "few_repeats": {"()": FewRepeats}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json" if as_json else "console",
                "filters": ["own_errors_once"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "librdkafka": {"filters": ["few_repeats"]},
            **{name: {"level": _quieter(level)} for name in FAUST_LOGGERS},
        },
    }


def _quieter(level: str) -> str:
    """Return the level for Faust's own messages, which say at info what this package says in fewer words."""
    return "DEBUG" if level == "debug" else "WARNING"
