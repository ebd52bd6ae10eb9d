"""The configuration of Python's logging: where lines go, how they look, and whose are left out."""

import logging
import os
import sys
from typing import Any, Final

from stream_infer.errors import StreamInferError
from stream_infer.logs.hidden import Hidden
from stream_infer.logs.lines import ConsoleFormatter, JsonFormatter
from stream_infer.settings import Settings
from stream_infer.settings.secrets import known_secrets

FAUST_LOGGERS: Final = ("faust", "mode", "stream_infer.transport.consumer", "stream_infer.transport.producer")
FAUST_CRASH: Final = "We experienced a crash!"
WIRE_LOGGERS: Final = (
    "adlfs",
    "aiobotocore",
    "azure",
    "boto3",
    "botocore",
    "fsspec",
    "gcsfs",
    "google",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "requests",
    "s3fs",
    "s3transfer",
    "urllib3",
)
"""Of libraries that speak to servers: below warning they write requests, with their addresses and headers."""


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


def logging_of(settings: Settings, *, level: str | None = None) -> dict[str, Any]:
    """Return the configuration that the settings ask for, with the secrets that they and the environment hold hidden.

    `level` wins over `log.level`.
    """
    hidden = Hidden(known_secrets(settings, os.environ))
    return logging_config(level=level or settings.log.level, form=settings.log.format, hidden=hidden)


def logging_config(*, level: str, form: str, hidden: Hidden | None = None) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`; `form` is the setting `log.format`."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {"()": ConsoleFormatter, "hidden": hidden},
            "json": {"()": JsonFormatter, "hidden": hidden},
        },
        "filters": {"own_errors_once": {"()": OwnErrorsOnce}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json" if as_json else "console",
                "filters": ["own_errors_once"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            **{name: {"level": _quieter(level)} for name in FAUST_LOGGERS},
            **{name: {"level": _at_least_warning(level)} for name in WIRE_LOGGERS},
        },
    }


def _quieter(level: str) -> str:
    """Return the level for Faust's own messages, which say at info what this package says in fewer words."""
    return "DEBUG" if level == "debug" else _at_least_warning(level)


def _at_least_warning(level: str) -> str:
    return "WARNING" if level in {"debug", "info"} else level.upper()
