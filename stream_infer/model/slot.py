"""The slot of the version that serves: leases keep a version in use, one assignment swaps it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from stream_infer.model.version import LoadedVersion

Retired = Callable[[LoadedVersion], None]


class _Held:
    """A version and how many leases are out; `retired` is set when another one took its place."""

    def __init__(self, version: LoadedVersion) -> None:
        self.version = version
        self.leases = 0
        self.retired = False


class ModelSlot:
    """Holds the version that serves. Any thread may lease and swap.

    `on_retired` is told of a replaced version when its last lease has ended, on the thread that ended it.
    """

    def __init__(self, version: LoadedVersion, *, on_retired: Retired | None = None) -> None:
        self._lock = threading.Lock()
        self._current = _Held(version)
        self._leaving: list[_Held] = []
        self._on_retired = on_retired

    @contextmanager
    def lease(self) -> Iterator[LoadedVersion]:
        """Lend the version that serves now; it stays loaded, and the same, until the block ends."""
        with self._lock:
            held = self._current
            held.leases += 1
        try:
            yield held.version
        finally:
            with self._lock:
                held.leases -= 1
            self._let_go(held)

    def swap(self, version: LoadedVersion) -> None:
        """Let another version serve every lease from now on; those out keep theirs."""
        new = _Held(version)
        with self._lock:
            old = self._current
            old.retired = True
            self._leaving.append(old)
            self._current = new
        self._let_go(old)

    def describe(self) -> list[Mapping[str, object]]:
        """Return the versions that are held, the serving one first, as JSON values for people."""
        with self._lock:
            held = [self._current, *self._leaving]
        return [_describe(one) for one in held]

    def _let_go(self, held: _Held) -> None:
        with self._lock:
            if not held.retired or held.leases or held not in self._leaving:
                return
            self._leaving.remove(held)
        if self._on_retired is not None:
            self._on_retired(held.version)


def _describe(held: _Held) -> Mapping[str, object]:
    version = held.version
    return {
        "model": version.name,
        "version": version.version,
        "digest": version.digest,
        "state": "RETIRING" if held.retired else "ACTIVE",
        "format": version.manifest.format,
        "task": version.manifest.outputs.task,
        "device": str(version.device.torch_device),
        "max_batch_size": version.max_batch_size,
        "leases": held.leases,
    }
