"""I10, which version answers: checked on answers, control records and statuses alone.

Every answer is by the version that its revision names for its variant, after it was told, and by one that some worker
said was ACTIVE; a batch has one version; revisions along a partition, and along each key, never go back; a key is the
canary's exactly when its hash says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

from tests.checker.history import CANARY, History, Partition, Place, Prediction, Rollout, Violation, WorkerSaid

HAS_SERVED = frozenset({"ACTIVE", "RETIRING"})
SHARES = 10_000
US_PER_MS = 1000
# What was under way when a worker said that its canary serves is answered within this time.
SETTLED_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """A history's rollouts by revision, and what its workers said of versions and canaries."""

    rollouts: Mapping[int, Rollout]
    served: frozenset[tuple[str, str | None]]
    failed: frozenset[str]
    stopped: frozenset[int]
    canary_since_us: Mapping[int, int]

    def may_go_back(self, newer: int) -> bool:
        """Return whether some worker reported that it could not load what a revision names as stable."""
        return newer in self.rollouts and self.rollouts[newer].stable in self.failed

    def may_be_stable(self, one: Prediction, version: str) -> bool:
        """Return whether a key of the canary may get stable's answer: its version was not there yet, or was stopped."""
        since_us = self.canary_since_us.get(one.revision)
        is_stopped = one.revision in self.stopped or version in self.failed
        return is_stopped or since_us is None or one.inferred_at_us <= since_us + SETTLED_US


def one_version_at_a_time(history: History) -> Iterator[Violation]:
    """I10; a history without rollouts says nothing of versions."""
    if history.rollouts:
        facts = facts_of(history)
        # What was sent back is answered by the version that serves by then.
        first = first_answers([one for one in history.predictions if one.source not in history.retried])
        yield from chain(
            as_told(history.predictions, facts),
            never_unheard_of(history.predictions, facts),
            whole_batches(history.predictions),
            never_back(first, facts),
            by_hash(history.predictions, facts),
        )


def facts_of(history: History) -> Facts:
    """Return what the laws look up."""
    said = [(worker, version) for worker in history.said for version in worker.versions]
    return Facts(
        rollouts={one.revision: one for one in history.rollouts},
        served=frozenset((one.version, one.digest) for _, one in said if one.state in HAS_SERVED),
        failed=frozenset(one.version for _, one in said if one.state == "FAILED"),
        stopped=frozenset(worker.applied_revision for worker in history.said if worker.tripped is not None),
        canary_since_us=_canary_since(history.said),
    )


def as_told(predictions: Sequence[Prediction], facts: Facts) -> Iterator[Violation]:
    """Every answer is by the version that its revision names for its variant, and not from before it was told."""
    for one in predictions:
        rollout = facts.rollouts.get(one.revision)
        if rollout is None:
            yield Violation("I10", f"{one.source} was answered under revision {one.revision}, which never counted")
        elif rollout.names(one.variant) != one.version:
            said = f"{one.variant} of revision {one.revision} is {rollout.names(one.variant)}"
            yield Violation("I10", f"{one.source} was answered by version {one.version}; {said}")
        elif one.inferred_at_us < rollout.told_at_ms * US_PER_MS:
            yield Violation("I10", f"{one.source} was answered under revision {one.revision} before it was told")


def never_unheard_of(predictions: Sequence[Prediction], facts: Facts) -> Iterator[Violation]:
    """No answer is by a version that no worker ever said was ACTIVE."""
    seen: dict[tuple[str, str | None], Prediction] = {}
    for one in predictions:
        seen.setdefault((one.version, one.digest), one)
    for (version, digest), one in seen.items():
        if (version, digest) not in facts.served:
            yield Violation("I10", f"{one.source} was answered by version {version} ({digest}), nowhere ACTIVE")


def whole_batches(predictions: Sequence[Prediction]) -> Iterator[Violation]:
    """What one worker answered at once has one version: rows of a partition and variant with one time of inference."""
    first: dict[tuple[Partition, str, int], Prediction] = {}
    for one in predictions:
        other = first.setdefault((one.source.lane, one.variant, one.inferred_at_us), one)
        if (other.version, other.digest, other.revision) != (one.version, one.digest, one.revision):
            said = f"version {other.version}, revision {other.revision} and version {one.version}, {one.revision}"
            yield Violation("I10", f"{other.source} and {one.source} were answered in one batch by {said}")


def never_back(first: Mapping[Partition, Sequence[Prediction]], facts: Facts) -> Iterator[Violation]:
    """Along a partition's offsets no revision is older than one before it.

    While a canary runs that holds for each key alone: the variants batch apart. Back leads only a reported failure.
    """
    with_canary = {revision for revision, one in facts.rollouts.items() if one.canary}
    for answers in first.values():
        newest = answers[0]
        of_key: dict[bytes, Prediction] = {}
        for one in answers:
            earlier = of_key.get(one.key, one) if one.key is not None else one
            before = earlier if one.revision in with_canary else newest
            if one.revision < before.revision and not facts.may_go_back(before.revision):
                said = f"revision {one.revision}, {before.source} before it under {before.revision}"
                yield Violation("I10", f"{one.source} was answered under {said}")
            newest = max(newest, one, key=_revision)
            if one.key is not None:
                of_key[one.key] = max(earlier, one, key=_revision)


def by_hash(predictions: Sequence[Prediction], facts: Facts) -> Iterator[Violation]:
    """While a canary runs its version answers the keys whose hash is below its share, and no other."""
    for one in predictions:
        rollout = facts.rollouts.get(one.revision)
        if rollout is None or rollout.canary is None:
            continue
        canary = rollout.canary
        share = share_of(one.key, one.source, canary.seed)
        is_canary = one.variant == CANARY
        if is_canary == (share < canary.hundredths) or (not is_canary and facts.may_be_stable(one, canary.version)):
            continue
        said = f"{one.source} with share {share} of {canary.hundredths} was answered by {one.variant}"
        yield Violation("I10", f"{said} under revision {one.revision}")


def share_of(key: bytes | None, source: Place, seed: str) -> int:
    """Return a record's share, 0 to 9999; without a key its source position, spelled out, is hashed."""
    hashed = key if key is not None else f"{source.topic}/{source.partition}/{source.offset}".encode()
    digest = blake2b(seed.encode() + b"\0" + hashed).digest()
    return int.from_bytes(digest[:8], "big") % SHARES


def first_answers(predictions: Sequence[Prediction]) -> Mapping[Partition, Sequence[Prediction]]:
    """Return the first answer to each position, by source partition and in the order of its offsets."""
    first: dict[Place, Prediction] = {}
    for one in predictions:
        first.setdefault(one.source, one)
    lanes: dict[Partition, list[Prediction]] = {}
    for place in sorted(first):
        lanes.setdefault(place.lane, []).append(first[place])
    return lanes


def _revision(one: Prediction) -> int:
    return one.revision


def _canary_since(said: Sequence[WorkerSaid]) -> Mapping[int, int]:
    """Return when the last worker first said that it serves a revision's canary, microseconds, by revision."""
    first: dict[tuple[int, str], int] = {}
    for worker in said:
        if any(one.variant == CANARY for one in worker.versions):
            first.setdefault((worker.applied_revision, worker.worker), worker.at_us)
    latest: dict[int, int] = {}
    for (revision, _), at_us in first.items():
        latest[revision] = max(at_us, latest.get(revision, at_us))
    return latest
