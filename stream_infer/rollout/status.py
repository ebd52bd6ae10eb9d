"""A status record: what one worker says of its versions, whole each time."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from stream_infer.rollout.fields import BadRecord, Fields, read_object

FORMAT: Final = 1
MAX_REPORTED: Final = 5
"""Refused control records that a status tells of: the last ones."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version on a worker.

    `state` is the name of a `model.lifecycle.State`, or of one that only a newer worker has; `variant` is `stable` or
    `canary` while it answers; `reason` says why it failed; `since` is ISO 8601, UTC.
    """

    version: str
    digest: str | None
    variant: str | None
    state: str
    reason: str | None
    since: str


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The whole state of a worker: `applied_revision` is what serves, 0 before any revision does.

    `tripped` says why the canary stopped here, `skew` why another version answers than the log names; `at` is ISO 8601,
    UTC; `reported` are sentences about control records that changed nothing, the oldest first.
    """

    application_id: str
    model: str
    worker: str
    applied_revision: int
    versions: tuple[VersionStatus, ...]
    tripped: str | None
    at: str
    skew: str | None = None
    reported: tuple[str, ...] = ()


def status_key(status: WorkerStatus) -> bytes:
    """Return the key of a worker's records: `application_id/model/worker`."""
    return f"{status.application_id}/{status.model}/{status.worker}".encode()


def to_json(status: WorkerStatus) -> bytes:
    """Return a status record's value, with the last five of what is `reported`."""
    whole = asdict(status) | {"reported": status.reported[-MAX_REPORTED:]}
    return json.dumps({"format": FORMAT, **whole}, ensure_ascii=False).encode(errors="replace")


def parse_status(key: bytes | None, value: bytes | None) -> WorkerStatus | None:
    """Return the status in a record; None for what is none, such as another format or under another worker's key.

    Fields that are not known are ignored; a null key is allowed.
    """
    try:
        status = _status(read_object(value or b""))
    except BadRecord:
        return None
    return status if key in {None, status_key(status)} else None


def _status(fields: Fields) -> WorkerStatus:
    if fields.whole("format", at_least=0) not in {None, FORMAT}:
        raise fields.refusal("format", f"{FORMAT}")
    return WorkerStatus(
        application_id=fields.required_text("application_id"),
        model=fields.required_text("model"),
        worker=fields.required_text("worker"),
        applied_revision=fields.whole("applied_revision", at_least=0) or 0,
        versions=tuple(_version(one) for one in fields.inners("versions")),
        tripped=fields.note("tripped"),
        at=fields.required_text("at"),
        skew=fields.note("skew"),
        reported=fields.texts("reported"),
    )


def _version(fields: Fields) -> VersionStatus:
    return VersionStatus(
        version=fields.required_text("version"),
        digest=fields.text("digest"),
        variant=fields.text("variant"),
        state=fields.required_text("state"),
        reason=fields.note("reason"),
        since=fields.required_text("since"),
    )
