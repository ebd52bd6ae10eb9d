"""A control record: the whole desired state of one model, as JSON that a person can type.

The least that counts is `{"model": "fraud", "stable": {"version": "2"}}`. Fields that are not known are ignored, unless
the record names them in `requires`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_infer.rollout.fields import LARGEST_WHOLE, BadRecord, Fields, read_object

__all__ = [
    "BadRecord",
    "Canary",
    "Desired",
    "Draft",
    "TripLimits",
    "VersionRef",
    "parse_desired",
    "read_draft",
    "to_json",
]

FORMAT: Final = 1
LONGEST_NAME_BYTES: Final = 255
SHORTEST_WINDOW_S: Final = 1.0
LONGEST_WINDOW_S: Final = 86_400.0

_VERSION = ("version", "uri", "sha256", "size_bytes")
_LIMITS = ("max_error_ratio", "max_nonfinite_ratio", "window_s", "min_records")
_KNOWN: Final = frozenset(
    (
        *("format", "requires", "model", "application_id", "revision", "stable", "canary", "prepared"),
        *("allow_output_change", "issued_at", "issued_by", "reason"),
        *(f"stable.{name}" for name in _VERSION),
        *(f"prepared.{name}" for name in _VERSION),
        *(f"canary.{name}" for name in (*_VERSION, "percent", "seed", "limits")),
        *(f"canary.limits.{name}" for name in _LIMITS),
    )
)


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version as a record names it: without `uri` it lies in the repository.

    `sha256` is that of the manifest's bytes, 64 lower-case hexadecimal digits; None where the record leaves it open.
    """

    version: str
    uri: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TripLimits:
    """When a canary stops by itself: ratios from 0 to 1 over the records of the last `window_s` seconds.

    A ratio that is None has no limit; below `min_records` in the window nothing trips.
    """

    max_error_ratio: float | None = None
    max_nonfinite_ratio: float | None = None
    window_s: float = 60.0
    min_records: int = 500


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that scores `hundredths` of 10,000 of the records; `seed` decides which."""

    ref: VersionRef
    hundredths: int
    seed: str
    limits: TripLimits | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """What should serve a model: `stable`, beside it `canary`, and `prepared` to be loaded and warm.

    `issued_at` (ISO 8601), `issued_by` and `reason` are the writer's word to people: nothing is decided by them.
    """

    model: str
    revision: int
    stable: VersionRef
    canary: Canary | None = None
    prepared: tuple[VersionRef, ...] = ()
    allow_output_change: bool = False
    issued_at: str | None = None
    issued_by: str | None = None
    reason: str | None = None
    application_id: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record of which only the address is read: the model, and the application where it names one."""

    model: str
    application_id: str | None
    fields: Fields

    def desired(self, *, next_revision: int) -> Desired:
        """Return the state, of revision `next_revision` where the record names none; raises `BadRecord`."""
        fields = self.fields
        _check_format(fields)
        revision = fields.whole("revision", at_least=1) or next_revision
        if revision > LARGEST_WHOLE:
            raise BadRecord(f"revision is missing and would be {revision}, expected at most {LARGEST_WHOLE}")
        stable, canary = fields.inner("stable"), fields.inner("canary")
        if stable is None:
            raise fields.refusal("stable", 'an object such as {"version": "2"}')
        return Desired(
            model=self.model,
            revision=revision,
            stable=_version(stable),
            canary=_canary(canary, default_seed=f"{self.model}/{revision}") if canary else None,
            prepared=tuple(_version(one) for one in fields.inners("prepared")),
            allow_output_change=fields.flag("allow_output_change"),
            issued_at=fields.note("issued_at"),
            issued_by=fields.note("issued_by"),
            reason=fields.note("reason"),
            application_id=self.application_id,
        )


def read_draft(value: bytes) -> Draft:
    """Return a record of any format as far as its address; raises `BadRecord` where it is no JSON or has none."""
    fields = read_object(value)
    return Draft(fields.required_text("model"), fields.text("application_id"), fields)


def parse_desired(value: bytes, *, next_revision: int) -> Desired:
    """Return the desired state in a control record's value; `next_revision` is its revision where it names none.

    Raises `BadRecord`, and nothing else whatever the bytes are.
    """
    return read_draft(value).desired(next_revision=next_revision)


def to_json(desired: Desired) -> bytes:
    """Return a control record's value, from which `parse_desired` makes the same state again.

    A text that UTF-8 cannot say, such as a user's name from a broken locale, has question marks instead.
    """
    issued = {"issued_at": desired.issued_at, "issued_by": desired.issued_by, "reason": desired.reason}
    value = {
        "format": FORMAT,
        **_known({"application_id": desired.application_id}),
        "model": desired.model,
        "revision": desired.revision,
        "stable": _version_json(desired.stable),
        "canary": _canary_json(desired.canary) if desired.canary else None,
        "prepared": [_version_json(ref) for ref in desired.prepared],
        "allow_output_change": desired.allow_output_change,
        **_known(issued),
    }
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _check_format(fields: Fields) -> None:
    if fields.whole("format", at_least=0) not in {None, FORMAT}:
        raise fields.refusal("format", f"{FORMAT}, or a newer worker")
    unknown = sorted(name for name in fields.texts("requires") if name not in _KNOWN)
    if unknown:
        raise BadRecord(f"requires names {json.dumps(unknown[0][:60])}, expected only what this worker knows")


def _version(fields: Fields) -> VersionRef:
    version = fields.required_text("version")
    if version.startswith(".") or set(version) & set("/\\") or len(version.encode()) > LONGEST_NAME_BYTES:
        raise fields.refusal("version", "a folder's name: no slashes, no dot in front, at most 255 bytes")
    sha256 = fields.text("sha256")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise fields.refusal("sha256", "64 lower-case hexadecimal digits")
    return VersionRef(version, fields.text("uri"), sha256, fields.whole("size_bytes", at_least=0))


def _canary(fields: Fields, *, default_seed: str) -> Canary:
    limits = fields.inner("limits")
    return Canary(
        ref=_version(fields),
        hundredths=_hundredths(fields),
        seed=fields.text("seed") or default_seed,
        limits=_limits(limits) if limits else None,
    )


def _hundredths(fields: Fields) -> int:
    percent = fields.number("percent", at_most=100)
    # A number typed with two decimals is the double nearest to it, and so is what this division gives: equal exactly.
    if percent is None or round(percent * 100) / 100 != percent:
        raise fields.refusal("percent", "a number from 0 to 100 in steps of 0.01")
    return round(percent * 100)


def _limits(fields: Fields) -> TripLimits:
    window_s = fields.number("window_s", at_most=LONGEST_WINDOW_S)
    if window_s is not None and window_s < SHORTEST_WINDOW_S:
        raise fields.refusal("window_s", f"at least {SHORTEST_WINDOW_S:g} second")
    given = {
        "max_error_ratio": fields.number("max_error_ratio", at_most=1),
        "max_nonfinite_ratio": fields.number("max_nonfinite_ratio", at_most=1),
        "window_s": window_s,
        "min_records": fields.whole("min_records", at_least=1),
    }
    return TripLimits(**_known(given))


def _version_json(ref: VersionRef) -> dict[str, Any]:
    return _known({name: getattr(ref, name) for name in _VERSION})


def _canary_json(canary: Canary) -> dict[str, Any]:
    limits = canary.limits
    return {
        **_version_json(canary.ref),
        "percent": canary.hundredths / 100,
        "seed": canary.seed,
        "limits": _known({name: getattr(limits, name) for name in _LIMITS}) if limits else None,
    }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
