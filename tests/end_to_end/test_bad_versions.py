"""Each bad version is bad in its own way: shown without a broker, in a child process where it would end this one."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion, load_version, open_device
from stream_infer.testing.models import MadeVersion
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.job import CLASSES

ADDRESS_SPACE_KIB = 3 << 20
CHILD_TIMEOUT_S = 180
REFUSED: list[tuple[Callable[[Path, str], MadeVersion], str]] = [
    (bad.write_corrupt, "sha256"),
    (bad.write_no_program, "cannot be loaded"),
    (bad.write_wrong_golden, "golden"),
]


def loaded(made: MadeVersion) -> LoadedVersion:
    return load_version(made.where, device=open_device("cpu"), batch_size=8)


@pytest.mark.parametrize(("write", "said"), REFUSED, ids=[write.__name__ for write, _ in REFUSED])
def test_a_version_whose_files_are_wrong_is_refused(
    write: Callable[[Path, str], MadeVersion], said: str, tmp_path: Path
) -> None:
    with pytest.raises(Stop, match=said):
        loaded(write(tmp_path, "3"))


def test_versions_that_break_a_contract_load_and_run(tmp_path: Path) -> None:
    assert loaded(bad.write_longer_scores(tmp_path, "3")).width == CLASSES + 1
    assert loaded(bad.write_unknown_field(tmp_path, "4")).fields == ("fingerprint",)


def test_a_version_whose_scores_are_no_numbers_loads_and_runs(tmp_path: Path) -> None:
    assert loaded(bad.write_not_a_number(tmp_path, "3")).width == CLASSES


def test_a_version_that_is_slow_to_load_takes_its_time_and_is_good(tmp_path: Path) -> None:
    made = bad.write_slow_to_load(tmp_path, "3", seconds=0.3)
    started_s = time.monotonic()
    assert loaded(made).digest == made.digest
    assert time.monotonic() - started_s > 0.3


def test_the_versions_that_end_a_process_do(tmp_path: Path) -> None:
    aborting, eating = bad.write_aborting(tmp_path, "3"), bad.write_eating_memory(tmp_path, "4")
    assert verified_in_a_child(aborting).returncode == -signal.SIGABRT
    assert "MemoryError" in verified_in_a_child(eating).stderr


def verified_in_a_child(made: MadeVersion) -> "subprocess.CompletedProcess[str]":
    """Load a version in a process that may use no more than 3 GiB of addresses, and leaves no core."""
    verify = f"exec {sys.executable} -m stream_infer model verify {made.path}"
    limits = f"ulimit -c 0 -v {ADDRESS_SPACE_KIB}"
    return subprocess.run(
        ["bash", "-c", f"{limits}; {verify}"], capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False
    )
