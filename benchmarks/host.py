"""What the host of a virtual machine takes from it: a measurement that it disturbs says more of the host."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import psutil

STOLEN = 0.01
"""The share of all cores that a host may give to other machines during a measurement that counts."""
TRIES = 3


class Measured(Protocol):
    """A measurement; `stolen` is the share of all cores that the host gave to others meanwhile."""

    @property
    def stolen(self) -> float: ...


M = TypeVar("M", bound=Measured)


def stolen_s() -> float:
    """Return how many CPU seconds the host has given to others while this machine wanted them; 0 where nobody tells."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def share(taken_s: float, wall_s: float) -> float:
    """Return what CPU seconds are of all cores in a time."""
    return taken_s / (wall_s * (psutil.cpu_count() or 1))


class Taking:
    """What the host takes from now on."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._stolen_s = stolen_s()

    def share(self) -> float:
        """Return the share of all cores that it has given to others so far."""
        return share(stolen_s() - self._stolen_s, time.monotonic() - self._began_s)


def undisturbed(measure: Callable[[], M]) -> tuple[M, int]:
    """Return the measurement that the host disturbed least, and how many were made: no other once one is undisturbed.

    What is looked at is what the host took, and nothing of what the measurement came to.
    """
    made: list[M] = []
    while not made or (made[-1].stolen > STOLEN and len(made) < TRIES):
        made.append(measure())
    return min(made, key=lambda one: one.stolen), len(made)


def disturbance(counted: Iterable[Measured], *, made: int) -> str:
    """Return a sentence on the measurements that count, of so many that were made."""
    each = [one.stolen > STOLEN for one in counted]
    return (
        f"A measurement during which the host gave more than {STOLEN:.0%} of the cores to other machines was made "
        f"again, up to {TRIES - 1} times, and the least disturbed counts: {made} were made for these {len(each)}, of "
        f"which {sum(each)} are still above."
    )
