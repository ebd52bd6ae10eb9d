"""What is known of the command that runs, before its settings are."""

from dataclasses import dataclass


@dataclass(slots=True)
class Invocation:
    """One run of `stream-infer`: `debug` says whether errors come with a traceback."""

    debug: bool = False
