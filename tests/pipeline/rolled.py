"""What serves, made up for tests: variants that answer alike, a router by key, a guard that does as it is told."""

from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.records import Records


@dataclass(frozen=True, slots=True)
class ByKey:
    """Sends a share of the keys to the canary."""

    percent: int

    def canary_rows(self, records: Records) -> NDArray[np.bool_]:
        return np.array([self.takes(key) for key in records.keys], dtype=np.bool_)

    def takes(self, key: bytes | None) -> bool:
        return crc32(key or b"") % 100 < self.percent


@dataclass(frozen=True, slots=True)
class Noted:
    """One batch as a guard saw it."""

    records: int
    errors: int
    non_finite: int


@dataclass(slots=True)
class Watching:
    """A guard that trips at the batch with number `trips_at`, counted from 0."""

    trips_at: int | None = None
    noted: list[Noted] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def note(self, _now_s: float, *, records: int, errors: int, non_finite: int) -> str | None:
        self.noted.append(Noted(records, errors, non_finite))
        return "too many errors" if self.tripped else None

    def fail(self, reason: str) -> None:
        self.failed.append(reason)

    @property
    def tripped(self) -> bool:
        return bool(self.failed) or (self.trips_at is not None and len(self.noted) > self.trips_at)


def named(version: LoadedVersion, name: str) -> LoadedVersion:
    """Return the same version under another name."""
    return replace(version, version=name)


def broken(version: LoadedVersion, name: str) -> LoadedVersion:
    """Return a version that fails on everything."""

    def call(*_tensors: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel image is available")

    return replace(version, version=name, call=call)


def with_canary(
    revision: int, stable: LoadedVersion, canary: LoadedVersion, *, percent: int, guard: Watching | None = None
) -> Serving:
    return Serving(revision, stable, canary, ByKey(percent), guard)
