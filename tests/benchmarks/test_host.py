"""What the host takes decides which measurement counts, and nothing else does."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.host import STOLEN, TRIES, Taking, disturbance, undisturbed


@dataclass(frozen=True, slots=True)
class Run:
    number: int
    stolen: float


def taken(*stolen: float) -> Callable[[], Run]:
    """Return runs, one a call, during which the host took these shares."""
    runs = iter([Run(number, one) for number, one in enumerate(stolen, 1)])
    return lambda: next(runs)


def test_a_run_is_made_again_only_while_the_host_disturbs_it() -> None:
    assert undisturbed(taken(STOLEN)) == (Run(1, STOLEN), 1)
    assert undisturbed(taken(2 * STOLEN, 3 * STOLEN, 0.0, 0.0)) == (Run(3, 0.0), 3)


def test_of_runs_that_are_all_disturbed_the_least_counts() -> None:
    shares = [STOLEN * share for share in (9, 6, 8)]
    assert undisturbed(taken(*shares, 0.0)) == (Run(2, shares[1]), TRIES)


def test_what_counts_and_what_was_made_are_told() -> None:
    told = disturbance([Run(1, 0.0), Run(2, 2 * STOLEN)], made=5)
    assert "5 were made for these 2, of which 1 are still above" in told


def test_what_the_host_takes_is_a_share_of_the_cores() -> None:
    assert 0.0 <= Taking().share() <= 1.0
