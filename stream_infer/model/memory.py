"""Memory of this machine and of processes on it, as the kernel tells; all sizes in bytes."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

import torch

ROOT: Final = Path("/")
_KIBIBYTE: Final = 1024
_V2: Final = ("sys/fs/cgroup", "memory.max")
_V1: Final = ("sys/fs/cgroup/memory", "memory.limit_in_bytes")


def default_memory_limit(root: Path = ROOT) -> int:
    """Return half of the memory that this process's cgroups, or else the machine, allow; `root` is where files lie."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_cgroup_limits(root)]) // 2


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use, 0 where nobody tells."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def own_bytes(name: str) -> int:
    """Return a size from this process's `/proc/self/status`, such as VmData or VmHWM; 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * _KIBIBYTE
    return 0


def return_memory() -> None:
    """Return what the allocators keep of freed memory to the system, where they can be asked to.

    Takes milliseconds for each gigabyte of heap, in which other threads may wait to allocate: not for the compute
    thread.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _cgroup_limits(root: Path) -> Iterator[int]:
    for path in _cgroup_files(root):
        # "max" stands for no limit.
        with suppress(OSError, ValueError):
            yield int(path.read_text(encoding="ascii"))


def _cgroup_files(root: Path) -> Iterator[Path]:
    """Yield the files that may hold a limit: of every group that this process is in, and of those around it.

    In a container the group's path is often not visible, and the limit lies at the top.
    """
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            place = _V1 if "memory" in controllers.split(",") else None if controllers else _V2
            if place is not None:
                own = PurePosixPath(group.lstrip("/"))
                yield from (root / place[0] / step / place[1] for step in (own, *own.parents))
    yield from (root / top / name for top, name in (_V2, _V1))
