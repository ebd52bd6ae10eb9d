"""The versions that this worker holds or tried: one row each, and the moves between states."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stream_infer.model import LoadedVersion
from stream_infer.model.lifecycle import Life, State
from stream_infer.rollout.plan import Choice, Holding
from stream_infer.rollout.record import VersionRef

STARTED = (State.FETCHING, State.VERIFYING, State.LOADING, State.WARMING)


@dataclass(frozen=True, slots=True)
class Row:
    """One version: what is known of it, and the version itself while it lies in memory.

    `retry_at_s` is the wall time from which one that failed may be tried again by itself, None when it may not.
    """

    holding: Holding
    version: LoadedVersion | None = None
    retry_at_s: float | None = None

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.holding.life.state


class VersionTable:
    """Rows by reference, in the order in which they came. Times are wall-clock seconds.

    `phases` holds the seconds that versions were in each state on the way to READY, until somebody takes them out.
    """

    def __init__(self) -> None:
        self._rows: dict[VersionRef, Row] = {}
        self.phases: list[tuple[State, float]] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows.values()))

    def __contains__(self, ref: VersionRef) -> bool:
        return ref in self._rows

    def holdings(self) -> tuple[Holding, ...]:
        """Return what a plan needs to know."""
        return tuple(row.holding for row in self)

    def row(self, ref: VersionRef) -> Row:
        """Return the row of a version that is here."""
        return self._rows[ref]

    def version(self, ref: VersionRef) -> LoadedVersion:
        """Return a version that lies in memory, by its reference or by its digest."""
        version = self._rows[self._known(ref)].version
        if version is None:
            raise KeyError(ref)
        return version

    def begin(self, ref: VersionRef, *, revision: int, at_s: float) -> None:
        """Start a version's life, or start it again after it failed."""
        self._rows[ref] = Row(Holding(ref, ref.sha256, Life(State.FETCHING, at_s, None), revision))

    def move(self, ref: VersionRef, to: State, *, at_s: float, reason: str | None = None) -> None:
        """Move a version to another state; raises `IllegalMove`."""
        row = self._rows[ref]
        if row.state in STARTED:
            self.phases.append((row.state, max(0.0, at_s - row.holding.life.since_s)))
        holding = replace(row.holding, life=row.holding.life.move(to, at_s=at_s, reason=reason))
        self._rows[ref] = replace(row, holding=holding)

    def learn(self, ref: VersionRef, *, digest: str | None = None, version: LoadedVersion | None = None) -> None:
        """Note a version's digest, or that it lies in memory."""
        row = self._rows[ref]
        digest = digest or (version.digest if version else None) or row.holding.digest
        self._rows[ref] = Row(replace(row.holding, digest=digest), version or row.version)

    def failure(self, ref: VersionRef, *, revision: int) -> Row | None:
        """Return the row of a version that failed for this revision or a newer one; None for any other."""
        row = self._rows.get(ref)
        is_failure = row is not None and row.state is State.FAILED and row.holding.revision >= revision
        return row if is_failure else None

    def retry(self, ref: VersionRef, *, at_s: float) -> None:
        """Note that what keeps a version from loading may pass."""
        self._rows[ref] = replace(self._rows[ref], retry_at_s=at_s)

    def drop_due(self, now_s: float) -> int:
        """Forget the failures that may be tried again by now, and return how many there were."""
        due = [row for row in self if row.retry_at_s is not None and row.retry_at_s <= now_s]
        for row in due:
            self.drop(row.holding.ref)
        return len(due)

    def drop(self, ref: VersionRef) -> None:
        """Forget a version."""
        self._rows.pop(ref, None)

    def sweep(self) -> None:
        """Forget the versions that are gone."""
        for row in self:
            if row.state is State.GONE:
                self.drop(row.holding.ref)

    def serve(self, choice: Choice, *, at_s: float) -> None:
        """Note that a choice serves: its versions are ACTIVE, and those that were are RETIRING."""
        refs = [choice.stable, *([choice.canary.ref] if choice.canary else [])]
        wanted = {self._known(ref) for ref in refs}
        for row in self:
            ref = row.holding.ref
            if ref in wanted and row.state is not State.ACTIVE:
                self.move(ref, State.ACTIVE, at_s=at_s)
            elif ref not in wanted and row.state is State.ACTIVE:
                self.move(ref, State.RETIRING, at_s=at_s)

    def variants(self, choice: Choice) -> dict[VersionRef, str]:
        """Return which row answers as stable and which as canary."""
        canary = {self._known(choice.canary.ref): "canary"} if choice.canary else {}
        return {**canary, self._known(choice.stable): "stable"}

    def loading(self) -> VersionRef | None:
        """Return the version that is on its way; one at a time is."""
        return next((row.holding.ref for row in self if row.state in STARTED), None)

    def _known(self, ref: VersionRef) -> VersionRef:
        """Return the reference under which a version is here: records and settings spell it differently."""
        if ref in self._rows:
            return ref
        same = (row.holding for row in self if ref.sha256 is not None and row.holding.digest == ref.sha256)
        return next(holding.ref for holding in same if holding.ref.version == ref.version)


def spoken(choice: Choice) -> str:
    """Return in a few words what serves."""
    canary = choice.canary
    return f"version {choice.stable.version}" + (
        f", canary {canary.ref.version} at {canary.hundredths / 100:g} %" if canary else ""
    )
