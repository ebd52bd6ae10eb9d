"""How the worker logs: one line an event, for a person on a terminal, as JSON otherwise.

A line about a batch, a revision or a version carries them as fields, by `extra=`; FIELDS names all that are shown. What
may be said with every record, batch or attempt goes through `Repeated`. Known secrets are blotted out of every line.
"""

from stream_infer.logs.config import logging_config, logging_of
from stream_infer.logs.hidden import Hidden
from stream_infer.logs.lines import FIELDS, ConsoleFormatter, JsonFormatter
from stream_infer.logs.repeated import Repeated, say_everything_left_out, say_left_out

__all__ = [
    "FIELDS",
    "ConsoleFormatter",
    "Hidden",
    "JsonFormatter",
    "Repeated",
    "logging_config",
    "logging_of",
    "say_everything_left_out",
    "say_left_out",
]
