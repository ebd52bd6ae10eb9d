"""Lineage: what answered before a version, as the log tells it: the new one's outputs must mean the same.

Not what happens to serve on a worker: one that starts, and one that was behind, must come to the same answer as all
others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from stream_infer.rollout.fold import Counted
from stream_infer.rollout.operate import is_same_version
from stream_infer.rollout.record import Desired, VersionRef

MOST: Final = 32
"""Versions that are looked at: their manifests are fetched, perhaps from far away."""


def may_differ(history: Sequence[Counted], ref: VersionRef) -> bool:
    """Return whether a revision that names this version lets its outputs differ from those before it.

    Once is enough: the next revision may only change a canary's share, and a worker that starts then must not refuse
    what all others serve.
    """
    free = (one.desired for one in history if one.desired.allow_output_change)
    return any(is_same_version(named, ref) for desired in free for named in _named(desired))


@dataclass(frozen=True, slots=True)
class Lineage:
    """The stable versions before one, the oldest first; `since` is the revision from which on all mean the same.

    A version among them that does not mean the same as the first never answered: whoever compares passes over it.
    """

    refs: tuple[VersionRef, ...]
    since: int


def answered_before(history: Sequence[Counted], target: Desired, ref: VersionRef) -> Lineage:
    """Return what the log named before this version.

    It ends with the revision before `target`, or with `target` itself where `ref` is no more than its canary; it begins
    with the newest version that was let differ, and is no longer than `MOST`.
    """
    last = target.revision - (ref == target.stable)
    earlier = [one.desired for one in history if one.desired.revision <= last]
    firsts = [next(same) for _, same in groupby(earlier, key=lambda desired: desired.stable)][-MOST:]
    free = [place for place, one in enumerate(firsts) if may_differ(history, one.stable)]
    refs = tuple(one.stable for one in firsts[free[-1] if free else 0 :])
    return Lineage(refs, firsts[free[-1]].revision if free else 0)


def _named(desired: Desired) -> Iterator[VersionRef]:
    yield desired.stable
    if desired.canary is not None:
        yield desired.canary.ref
    yield from desired.prepared
