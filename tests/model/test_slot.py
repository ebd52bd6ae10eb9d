import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_infer.model import LoadedVersion, ModelSlot
from stream_infer.model.serving import Serving, Variant
from stream_infer.records import Records


@dataclass(frozen=True, slots=True)
class Nobody:
    """Sends no record to the canary."""

    def canary_rows(self, records: Records) -> NDArray[np.bool_]:
        return np.zeros(len(records), dtype=np.bool_)


@pytest.fixture(scope="module")
def versions(loaded: LoadedVersion) -> Sequence[LoadedVersion]:
    return [replace(loaded, version=str(number)) for number in range(4)]


def test_a_lease_keeps_what_served_across_a_swap(versions: Sequence[LoadedVersion]) -> None:
    slot = ModelSlot(Serving(1, versions[0]))
    with slot.lease() as held:
        slot.swap(Serving(2, versions[1]))
        with slot.lease() as new:
            assert new.stable is versions[1]
        assert held.stable is versions[0]
        assert slot.is_leased(versions[0])
    assert not slot.is_leased(versions[0])
    assert slot.serving.revision == 2


def test_a_canary_is_leased_with_its_stable_version(versions: Sequence[LoadedVersion]) -> None:
    slot = ModelSlot(Serving(1, versions[0], versions[1], Nobody()))
    with slot.lease() as held:
        slot.swap(held.stable_alone())
        assert [slot.is_leased(version) for version in versions] == [True, True, False, False]
        assert held.version(Variant.CANARY) is versions[1]
    assert slot.serving.versions == (versions[0],)
    assert slot.serving.revision == 1


def test_a_lease_ends_when_its_block_raises(versions: Sequence[LoadedVersion]) -> None:
    slot = ModelSlot(Serving(1, versions[0]))
    with pytest.raises(ZeroDivisionError), slot.lease():
        raise ZeroDivisionError
    assert not slot.is_leased(versions[0])


@given(steps=st.lists(st.sampled_from(["lease", "release", "swap"]), max_size=30))
@settings(deadline=None)
def test_exactly_the_versions_of_leases_that_are_out_are_leased(
    versions: Sequence[LoadedVersion], steps: list[str]
) -> None:
    served = [replace(versions[0])]
    slot = ModelSlot(Serving(0, served[0]))
    leases: list[tuple[ExitStack, Serving]] = []
    for step in steps:
        if step == "lease":
            stack = ExitStack()
            leases.append((stack, stack.enter_context(slot.lease())))
            assert leases[-1][1].stable is served[-1]
        elif step == "release" and leases:
            leases.pop(0)[0].close()
        elif step == "swap":
            served.append(replace(versions[0]))
            slot.swap(Serving(len(served), served[-1]))
        held = [serving.stable for _, serving in leases]
        assert [slot.is_leased(one) for one in served] == [one in held for one in served]


def test_threads_that_lease_while_versions_are_swapped_always_hold_a_leased_version(
    versions: Sequence[LoadedVersion],
) -> None:
    slot = ModelSlot(Serving(0, versions[0]))
    stop = threading.Event()
    unleased: list[Serving] = []

    def use() -> None:
        while not stop.is_set():
            with slot.lease() as held:
                if not slot.is_leased(held.stable):
                    unleased.append(held)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        slot.swap(Serving(number, replace(versions[0])))
    stop.set()
    for thread in threads:
        thread.join()
    assert not unleased
