"""What following the desired state needs from the rest of the worker, as small protocols."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from stream_infer.model import LoadedVersion
from stream_infer.model.lifecycle import State
from stream_infer.model.serving import Serving
from stream_infer.rollout.record import VersionRef


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the desired state comes from before the log says anything.

    `baseline` returns the version that the settings name and raises `Stop` when they name none that exists.
    """

    model: str
    application_id: str
    baseline: Callable[[], VersionRef]


@dataclass(frozen=True, slots=True, eq=False)
class LoadJob:
    """A version to bring into the worker, for one revision.

    Its outputs must mean the same as those that the log named `before`, see `lineage.answered_before`, unless
    `allow_output_change`. `against` is that version where it serves here, None where it must be looked up.
    """

    ref: VersionRef
    revision: int
    allow_output_change: bool
    against: LoadedVersion | None
    before: tuple[VersionRef, ...]
    is_beside_live: bool


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A load has come to a state; `digest` is known from VERIFYING on."""

    job: LoadJob
    state: State
    digest: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A version lies in memory and was called nowhere but in its child process.

    `settle` is to be called when it is warm or given up: until then a death of this process counts against it.
    """

    job: LoadJob
    version: LoadedVersion
    settle: Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class LoadFailed:
    """A load ended without a version; `reason` is one sentence, `may_pass` that it lies with something that is away."""

    job: LoadJob
    reason: str
    may_pass: bool = False


LoadEvent = Stage | Loaded | LoadFailed


class Loader(Protocol):
    """Loads one version after the other, on a thread of its own."""

    def start(self, job: LoadJob, tell: Callable[[LoadEvent], None]) -> None:
        """Load, and tell what happens, on the loader's thread; waits for an earlier load to end first."""
        ...

    def cancel(self) -> None:
        """Give up the load under way, soon; what it still tells is to be ignored."""
        ...


class Engine(Protocol):
    """The compute thread: each request is done between two batches."""

    def warm(self, version: LoadedVersion) -> "Future[None]":
        """Call a version on zeros until it answers as fast as it will; raises what it raises."""
        ...

    def serve(self, serving: Serving) -> "Future[None]":
        """Let these versions answer from the next batch on."""
        ...

    def release(self, version: LoadedVersion) -> "Future[None]":
        """Give back a version's memory when no batch uses it any more."""
        ...
