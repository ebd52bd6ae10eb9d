"""What can go wrong, whose fault it is and what happens next.

    StreamInferError
    |-- Undone       a transaction is rolled back: score again what it held
    |-- Retry        a broker or registry is away: back off, keep the position, try again
    `-- Stop         our configuration or installation is wrong: one sentence, exit non-zero
        |-- Drained  the worker ends, what is asked of it now is not done
        |-- Stuck    a version's code does not come back: only the end of the process ends it
        `-- WrongUse the command line or the settings are wrong: exit 2

A record's own fault is no exception but a value: a `Reject` travels beside the batch to the dead-letter topic.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar


class StreamInferError(Exception):
    """Base of every error that this package raises on purpose; its text is one sentence for a person."""

    exit_code: ClassVar[int] = 1


class Retry(StreamInferError):
    """Something outside is away for now: the position is kept and the step is tried again."""


class Undone(StreamInferError):
    """What was sent since the last commit is rolled back, or lost with its producer: it is read and scored again."""


class Stop(StreamInferError):
    """The worker cannot do its job as configured: it ends with this sentence and a non-zero exit code."""


class Drained(Stop):
    """The worker ends: nothing that is asked of it now is done, and nobody is at fault."""


class Stuck(Stop):
    """A version's own code takes longer than it ever may, on a thread that nothing can end but the process's end."""


class WrongUse(Stop):
    """The command line or the settings are wrong; nothing was done."""

    exit_code: ClassVar[int] = 2


class Stage(StrEnum):
    """The step that refused a record."""

    DECODE = "decode"
    INPUT = "input"
    INFER = "infer"
    ENCODE = "encode"
    PRODUCE = "produce"


class Reason(StrEnum):
    """Why a record was refused: a closed set, because it labels a metric."""

    UNDECODABLE = "undecodable"
    UNKNOWN_FORMAT = "unknown_format"
    UNKNOWN_SCHEMA = "unknown_schema"
    SCHEMA_REFUSED = "schema_refused"
    INCOMPATIBLE_SCHEMA = "incompatible_schema"
    TRAILING_BYTES = "trailing_bytes"
    TOO_LARGE = "too_large"
    NULL_INPUT = "null_input"
    WRONG_LENGTH = "wrong_length"
    WRONG_TYPE = "wrong_type"
    MODEL_ERROR = "model_error"
    NON_FINITE = "non_finite"
    UNENCODABLE = "unencodable"


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that cannot be scored: `row` is its row in the batch that the refusing step was given.

    `message` is one sentence that names the thing, what was found and what was expected; `field` is the input field
    that it is about, where it is about one.
    """

    row: int
    stage: Stage
    reason: Reason
    message: str
    field: str | None = None

    def at(self, row: int) -> "Reject":
        """Return the same refusal for another row number."""
        return replace(self, row=row)
