"""The slot of what serves: leases keep its versions in use, one assignment swaps it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stream_infer.model.serving import Serving
from stream_infer.model.version import LoadedVersion


class ModelSlot:
    """Holds what serves. Any thread may lease; the compute thread alone swaps, and so needs no lease between swaps."""

    def __init__(self, serving: Serving) -> None:
        self._lock = threading.Lock()
        self._serving = serving
        self._leased: list[Serving] = []

    @property
    def serving(self) -> Serving:
        """What serves now."""
        return self._serving

    @contextmanager
    def lease(self) -> Iterator[Serving]:
        """Lend what serves now: its versions keep their memory, and it stays the same, until the block ends."""
        with self._lock:
            serving = self._serving
            self._leased.append(serving)
        try:
            yield serving
        finally:
            with self._lock:
                self._leased.remove(serving)

    def swap(self, serving: Serving) -> None:
        """Let something else serve every lease from now on; those out keep theirs."""
        with self._lock:
            self._serving = serving

    def is_leased(self, version: LoadedVersion) -> bool:
        """Whether a lease on a version is out."""
        with self._lock:
            return any(version is one for serving in self._leased for one in serving.versions)
