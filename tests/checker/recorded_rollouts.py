"""A small history across two rollouts: version 1, then a canary of version 2, then version 2 for all."""

from collections.abc import Iterator

import numpy as np

from tests.checker.history import (
    CANARY,
    STABLE,
    CanaryShare,
    Event,
    History,
    Place,
    Prediction,
    Rollout,
    VersionSaid,
    WorkerSaid,
)
from tests.checker.recorded import FIRST_TIME_MS, REFERENCES, answer
from tests.checker.rollouts import share_of

PER_ROLLOUT = 8
KEYS = 4
"""Every key comes twice in each rollout."""
STEP_US = 10_000_000
HALF = CanaryShare("2", 5000, "default/1")


def _told_ms(revision: int) -> int:
    return FIRST_TIME_MS + revision * STEP_US // 1000


def _served_us(revision: int) -> int:
    return _told_ms(revision) * 1000 + STEP_US // 8


ROLLOUTS = (Rollout(0, "1"), Rollout(1, "1", HALF, _told_ms(1)), Rollout(2, "2", None, _told_ms(2)))


def rolled() -> History:
    """Return the history: one partition, `PER_ROLLOUT` events under each revision, answered in two batches."""
    events = [_event(offset) for offset in range(PER_ROLLOUT * len(ROLLOUTS))]
    return History(
        events=events,
        predictions=[answer_under(ROLLOUTS[event.place.offset // PER_ROLLOUT], event) for event in events],
        dead_letters=[],
        observations=[],
        rollouts=ROLLOUTS,
        said=list(_said()),
    )


def _event(offset: int) -> Event:
    features = np.random.default_rng(offset).normal(size=2).astype(np.float32).tolist()
    key = f"key-{offset % KEYS}".encode()
    return Event(Place("in", 0, offset), key, FIRST_TIME_MS, skipped=False, event_id=f"e{offset}", features=features)


def answer_under(rollout: Rollout, event: Event) -> Prediction:
    """Return the answer to an event as the version would give it that a rollout names for its key."""
    canary = rollout.canary
    is_canary = canary is not None and share_of(event.key, event.place, canary.seed) < canary.hundredths
    variant = CANARY if is_canary else STABLE
    version = rollout.names(variant) or ""
    scores = REFERENCES[version].scores([event.features or ()])[0].tolist()
    half = event.place.offset % PER_ROLLOUT // KEYS
    return answer(event, Place("out", 0, event.place.offset), scores)._replace(
        version=version,
        digest=f"digest-of-{version}",
        revision=rollout.revision,
        variant=variant,
        inferred_at_us=_served_us(rollout.revision) + STEP_US // 4 * (1 + half),
    )


def _said() -> Iterator[WorkerSaid]:
    yield _status(0, VersionSaid("1", "digest-of-1", STABLE, "ACTIVE", None, _served_us(0)))
    for revision, others in ((1, (STABLE, CANARY)), (2, (None, STABLE))):
        states = ["ACTIVE" if variant else "RETIRING" for variant in others]
        versions = [
            VersionSaid(name, f"digest-of-{name}", variant, state, None, _served_us(revision))
            for name, variant, state in zip(("1", "2"), others, states, strict=True)
        ]
        yield _status(revision, *versions)


def _status(revision: int, *versions: VersionSaid) -> WorkerSaid:
    return WorkerSaid("worker-a", revision, versions, None, (), at_us=_served_us(revision))
