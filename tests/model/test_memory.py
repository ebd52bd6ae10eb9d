"""How much memory there is: the smallest limit of any group around this process, or all of the machine's."""

import os
from pathlib import Path

import pytest

from stream_infer.model.memory import default_memory_limit, own_bytes, resident_bytes, return_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1 = "9:cpu,cpuacct:/jobs\n7:memory:/jobs/one\n"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/jobs/one\n", {}, MACHINE),
        ("0::/jobs/one\n", {"jobs/one/memory.max": "max\n"}, MACHINE),
        ("0::/jobs/one\n", {"jobs/one/memory.max": "max\n", "jobs/memory.max": "3000\n"}, 3000),
        ("0::/jobs/one\n", {"jobs/one/memory.max": "2000\n", "jobs/memory.max": "3000\n"}, 2000),
        ("0::/hidden\n", {"memory.max": "4000\n"}, 4000),
        ("", {"memory.max": "4000\n"}, 4000),
        ("no such line\n", {"memory.max": "4000\n"}, 4000),
        (V1, {"memory/jobs/one/memory.limit_in_bytes": "5000\n"}, 5000),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        (V1, {"jobs/memory.max": "1\n"}, MACHINE),
    ],
)
def test_half_of_the_smallest_limit_may_be_used(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    files = {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": content for name, content in limits.items()}}
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert default_memory_limit(tmp_path) == expected // 2


def test_where_nothing_is_told_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert default_memory_limit(tmp_path) == MACHINE // 2
    assert 0 < default_memory_limit() <= MACHINE // 2


def test_a_process_has_memory_while_it_lives() -> None:
    return_memory()
    assert resident_bytes(os.getpid()) > 1 << 20
    in_use = own_bytes("VmRSS")
    assert own_bytes("VmHWM") >= in_use > 1 << 20
    assert resident_bytes(1 << 30) == own_bytes("VmNothing") == 0
