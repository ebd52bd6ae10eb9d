"""Why bytes or a schema cannot be used: raised inside this package, a `Reject` outside of it."""

from stream_infer.errors import Reason, Reject, Stage, StreamInferError


class Refusal(StreamInferError):
    """A record, or every record of a writer schema, is refused for `reason`."""

    def __init__(self, message: str, *, reason: Reason = Reason.UNDECODABLE) -> None:
        super().__init__(message)
        self.reason = reason

    def reject(self, row: int) -> Reject:
        """Return the refusal as the value that travels beside the batch."""
        return Reject(row, Stage.DECODE, self.reason, str(self))


class SchemaRefused(Refusal):
    """A schema is malformed, or so shaped that a few bytes could exhaust memory or the stack."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.SCHEMA_REFUSED)


class Incompatible(Refusal):
    """Data of the writer schema, or one value of it, has no meaning in the reader schema."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.INCOMPATIBLE_SCHEMA)
