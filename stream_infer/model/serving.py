"""What serves: one value that the compute thread replaces whole, between two batches."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_infer.model.version import LoadedVersion
from stream_infer.records import Records


class Variant(StrEnum):
    """Which side of a rollout scored a batch."""

    STABLE = "stable"
    CANARY = "canary"


class Router(Protocol):
    """Says which records the canary scores; used by the compute thread alone."""

    def canary_rows(self, records: Records) -> NDArray[np.bool_]:
        """Return one bool for each row: True where the canary scores it.

        The word depends on the record alone, never on its batch-mates or on when it is asked.
        """
        ...


class Guard(Protocol):
    """Judges a canary by its batches; told by the compute thread alone."""

    def note(self, now_s: float, *, records: int, errors: int, non_finite: int) -> str | None:
        """Count one batch at monotonic time `now_s`; return why the canary must stop, or None while it may go on.

        `errors` of its `records` made the model fail, `non_finite` had scores that are NaN or infinite.
        """
        ...

    def fail(self, reason: str) -> None:
        """Note that the canary was stopped for something that is no ratio, such as a batch of which nothing came."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """The versions that serve under one revision of the desired state.

    With a `canary` there is a `router`, which deals the records; `guard` is None where the canary has no limits.
    Raises ValueError for a canary without a router.
    """

    revision: int
    stable: LoadedVersion
    canary: LoadedVersion | None = None
    router: Router | None = None
    guard: Guard | None = None

    def __post_init__(self) -> None:
        if (self.canary is None) != (self.router is None):
            raise ValueError(f"revision {self.revision} has a canary or a router, expected both or neither")

    @property
    def versions(self) -> tuple[LoadedVersion, ...]:
        """The version of each variant, stable first."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    def version(self, variant: Variant) -> LoadedVersion:
        """Return the version of a variant; that of the canary is stable's own where there is no canary."""
        return self.canary if variant is Variant.CANARY and self.canary is not None else self.stable

    def stable_alone(self) -> "Serving":
        """Return the same revision without its canary."""
        return replace(self, canary=None, router=None, guard=None)
