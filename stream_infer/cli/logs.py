"""Logging of a command: to standard error, as the settings say."""

import logging.config

from stream_infer.logs import logging_config
from stream_infer.settings import Log


def start_logging(log: Log) -> None:
    """Send everything of at least `log.level` to standard error; what was set up before is replaced."""
    logging.config.dictConfig(logging_config(level=log.level, form=log.format))
