"""Laws on what topics alone do not tell: time, counters, resources, exit codes. Each says what it found wrong.

I8 the last stable offset moves, I9 progress, I11 accounting, I12 bounds, I13 shutdown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.checker.history import History, Partition, Violation

STILL = 1.05
"""What may be left after a run, against what there was before it."""
PROGRESS = 100


@dataclass(frozen=True, slots=True)
class Ends:
    """The next offset of a partition of answers at one moment, and the last stable one."""

    at_s: float
    high: int
    stable: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process holds."""

    memory_bytes: int
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """How a worker that was told to drain ended."""

    worker: str
    exit_code: int
    took_s: float


def stable_moves(samples: Mapping[Partition, Sequence[Ends]], *, within_s: float) -> Iterator[Violation]:
    """I8: what is behind an open transaction becomes readable within a time."""
    for lane, ends in samples.items():
        since_s, stuck_at = 0.0, -1
        for one in ends:
            if one.stable >= one.high or one.stable != stuck_at:
                since_s, stuck_at = one.at_s, one.stable
            elif one.at_s - since_s > within_s:
                for_s = one.at_s - since_s
                yield Violation("I8", f"{lane}: nothing beyond {one.stable} became readable for {for_s:.1f} s")
                break


def progress(answered: Mapping[str, int]) -> Iterator[Violation]:
    """I9: during each fault that leaves a quorum records are answered; by fault, how many."""
    for fault, count in answered.items():
        if count < PROGRESS:
            yield Violation("I9", f"{count} records were answered during {fault}, expected {PROGRESS}")


def accounting(history: History, counters: Sequence[Mapping[str, int]]) -> Iterator[Violation]:
    """I11: answers and skipped records add up to the input, and the final counters of all workers to both."""
    found = {
        "predictions_produced_total": len(history.predictions),
        "dead_letters_total": len(history.dead_letters),
        "records_skipped_total": sum(event.skipped for event in history.events),
    }
    inputs = len(history.events) + len(history.retries)
    if sum(found.values()) != inputs:
        yield Violation("I11", f"{inputs} records came in and {sum(found.values())} were answered or skipped")
    for name, count in found.items():
        said = sum(one[name] for one in counters)
        if said != count:
            yield Violation("I11", f"{name} is {said}, and the topics say {count}")


def bounds(before: Resources, after: Resources) -> Iterator[Violation]:
    """I12: memory, threads and file descriptors come back to what they were."""
    for name in ("memory_bytes", "threads", "descriptors"):
        had, has = getattr(before, name), getattr(after, name)
        if has > had * STILL:
            yield Violation("I12", f"{name} went from {had} to {has}")


def shutdown(ended: Sequence[Shutdown], *, within_s: float) -> Iterator[Violation]:
    """I13: a worker that is told to drain ends with 0 inside the grace time."""
    for one in ended:
        if one.exit_code != 0:
            yield Violation("I13", f"{one.worker} ended with {one.exit_code} when it was told to drain, expected 0")
        if one.took_s > within_s:
            yield Violation("I13", f"{one.worker} took {one.took_s:.1f} s to drain, expected {within_s:g} s at most")
