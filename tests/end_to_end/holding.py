"""What a worker process holds, as the system counts it."""

import psutil

from tests.checker.bounds import Resources


def held_by(pid: int) -> Resources:
    """Return memory, threads and descriptors of a process now."""
    process = psutil.Process(pid)
    return Resources(process.memory_info().rss, process.num_threads(), process.num_fds())
