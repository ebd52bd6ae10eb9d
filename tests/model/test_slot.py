import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.model import LoadedVersion, ModelSlot


@pytest.fixture(scope="module")
def versions(loaded: LoadedVersion) -> Sequence[LoadedVersion]:
    return [replace(loaded, version=str(number)) for number in range(4)]


def test_a_lease_keeps_its_version_across_a_swap(versions: Sequence[LoadedVersion]) -> None:
    retired: list[LoadedVersion] = []
    slot = ModelSlot(versions[0], on_retired=retired.append)
    with slot.lease() as held:
        slot.swap(versions[1])
        with slot.lease() as new:
            assert new is versions[1]
        assert held is versions[0]
        assert not retired
        assert [one["state"] for one in slot.describe()] == ["ACTIVE", "RETIRING"]
    assert retired == [versions[0]]
    assert [one["version"] for one in slot.describe()] == ["1"]


def test_a_version_that_nobody_holds_is_retired_at_once(versions: Sequence[LoadedVersion]) -> None:
    retired: list[LoadedVersion] = []
    slot = ModelSlot(versions[0], on_retired=retired.append)
    slot.swap(versions[1])
    assert retired == [versions[0]]


def test_a_lease_ends_when_its_block_raises(versions: Sequence[LoadedVersion]) -> None:
    retired: list[LoadedVersion] = []
    slot = ModelSlot(versions[0], on_retired=retired.append)
    with pytest.raises(ZeroDivisionError), slot.lease():
        raise ZeroDivisionError
    slot.swap(versions[1])
    assert retired == [versions[0]]


@given(steps=st.lists(st.sampled_from(["lease", "release", "swap"]), max_size=30))
@settings(deadline=None)
def test_exactly_the_replaced_versions_without_a_lease_are_retired_and_each_once(
    versions: Sequence[LoadedVersion], steps: list[str]
) -> None:
    retired: list[LoadedVersion] = []
    serving = versions[0]
    slot = ModelSlot(serving, on_retired=retired.append)
    leases: list[tuple[ExitStack, LoadedVersion]] = []
    replaced: list[LoadedVersion] = []
    for step in steps:
        if step == "lease":
            stack = ExitStack()
            leases.append((stack, stack.enter_context(slot.lease())))
            assert leases[-1][1] is serving
        elif step == "release" and leases:
            leases.pop(0)[0].close()
        elif step == "swap":
            replaced.append(serving)
            serving = replace(serving)
            slot.swap(serving)
        held = {id(version) for _, version in leases}
        assert {id(version) for version in retired} == {id(one) for one in replaced if id(one) not in held}
        assert len(retired) == len({id(version) for version in retired})


def test_threads_that_lease_while_versions_are_swapped_lose_none(versions: Sequence[LoadedVersion]) -> None:
    retired: list[LoadedVersion] = []
    slot = ModelSlot(versions[0], on_retired=retired.append)
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            with slot.lease() as held:
                assert held not in retired

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    swapped = [replace(versions[0]) for _ in range(200)]
    for version in swapped:
        slot.swap(version)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(retired) == 200
