"""Prune: fetched versions that nobody needs any more leave the cache."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from stream_infer.errors import Stop
from stream_infer.model.sources.store import Store

KEPT_PER_MODEL: Final = 5
RECENT_S: Final = 3600.0
"""For so long after its last use another process may be about to load a version."""


def prune(cache: Path, *, keep: Collection[Path], now_s: float) -> tuple[Path, ...]:
    """Remove fetched versions that nobody needs, the longest unused first, and return their folders.

    Stays: what `keep` names, what was fetched or used in the last hour before `now_s` (wall-clock seconds), and the
    five last used versions of each model. What cannot be removed stays too.
    """
    store = Store(cache)
    unneeded = list(_unneeded(store, keep, now_s=now_s))
    return tuple(folder for folder in reversed(unneeded) if _removed(store, folder))


def _unneeded(store: Store, keep: Collection[Path], *, now_s: float) -> Iterator[Path]:
    """Yield what may go, the last used first."""
    seen: Counter[str] = Counter()
    for used_s, folder in sorted(((_used_s(folder), folder) for folder in store.versions()), reverse=True):
        model = folder.parent.name
        seen[model] += 1
        if seen[model] > KEPT_PER_MODEL and folder not in keep and used_s < now_s - RECENT_S:
            yield folder


def _used_s(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0


def _removed(store: Store, folder: Path) -> bool:
    """Take a version out of its place by one rename, so that nobody finds half of it; then it goes."""
    try:
        with store.partial() as partial:
            folder.rename(partial.scratch / "unneeded")
    except (OSError, Stop):
        return False
    for parent in (folder.parent, folder.parent.parent):
        with suppress(OSError):  # it holds others
            parent.rmdir()
    return True
