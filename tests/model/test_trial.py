"""A version is tried where it can do no harm, and what it does there is said in one sentence."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stream_infer.errors import Stop
from stream_infer.model import load_version
from stream_infer.model.device import CpuDevice
from stream_infer.model.known import KnownFacts
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.trial import TrialSettings, try_version
from stream_infer.model.version import Facts
from stream_infer.testing.clock import HandClock
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.end_to_end import bad_versions as bad
from tests.end_to_end.job import CLASSES

MEBIBYTE = 1 << 20
KNOWN = Facts(width=77, writes_inputs=True, peak_memory_bytes=10)


@pytest.fixture
def trial(tmp_path: Path) -> TrialSettings:
    return TrialSettings(
        device="cpu",
        batch_size=16,
        allow_code_formats=True,
        memory_limit_bytes=512 * MEBIBYTE,
        timeout_s=100.0,
        cache=tmp_path / "cache",
    )


def never() -> bool:
    return False


def tried(made: MadeVersion, trial: TrialSettings, cancelled: Callable[[], bool] = never) -> Facts:
    return try_version(made.where, made.digest, trial=trial, cancelled=cancelled)


def refused(made: MadeVersion, trial: TrialSettings, cancelled: Callable[[], bool] = never) -> str:
    with pytest.raises(Stop) as refusal:
        tried(made, trial, cancelled)
    assert not (trial.cache / "trials").exists()
    return str(refusal.value)


def result_file(trial: TrialSettings) -> Path:
    (path,) = (trial.cache / "trials").iterdir()
    return path


def test_what_a_good_version_showed_is_known_and_not_sought_again(tmp_path: Path, trial: TrialSettings) -> None:
    made = write_mlp(tmp_path, sizes=(8, 1024, 4096, 3))
    facts = tried(made, trial)
    weights_bytes = sum(parameter.nbytes for parameter in made.module.parameters())
    assert (facts.width, facts.writes_inputs) == (3, False)
    assert weights_bytes <= facts.peak_memory_bytes < weights_bytes + 400 * MEBIBYTE
    assert json.loads(result_file(trial).read_text())["width"] == 3
    # A process that looked there now would find nothing.
    nowhere = VersionDirectory("default", "1", tmp_path / "gone")
    assert try_version(nowhere, made.digest, trial=trial, cancelled=never) == facts


def test_with_what_is_known_a_version_loads_without_a_call(tmp_path: Path) -> None:
    made = write_mlp(tmp_path, sizes=(8, 4, 3))
    version = load_version(made.where, device=CpuDevice(), batch_size=16, facts=KNOWN)
    assert (version.width, version.writes_inputs) == (77, True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"width": 3}', '{"width": -1, "writes_inputs": 0}'])
def test_a_result_that_is_damaged_is_none(trial: TrialSettings, content: str) -> None:
    known = KnownFacts(trial.cache / "trials", device="cpu", batch_size=16)
    known.keep("ab", KNOWN)
    assert known.find("ab") == KNOWN
    result_file(trial).write_text(content, encoding="utf-8")
    assert known.find("ab") is None


def test_a_result_is_good_for_its_own_surroundings_alone(trial: TrialSettings) -> None:
    folder = trial.cache / "trials"
    KnownFacts(folder, device="cpu", batch_size=16).keep("ab", KNOWN)
    assert KnownFacts(folder, device="cpu", batch_size=32).find("ab") is None
    assert KnownFacts(folder, device="cpu", batch_size=16).find("cd") is None
    assert torch.__version__ in result_file(trial).name


def test_a_cache_that_cannot_be_written_is_no_error(trial: TrialSettings) -> None:
    trial.cache.write_text("a file", encoding="utf-8")
    known = KnownFacts(trial.cache / "trials", device="cpu", batch_size=16)
    known.keep("ab", KNOWN)
    assert known.find("ab") is None


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (bad.write_wrong_golden, r"golden.jsonl, line 1, expects .* as score \d+, the model gives .*"),
        (
            bad.write_aborting,
            r"version 3 crashed: the process that tried it was ended by signal 6 \(SIGABRT\) while it was loaded",
        ),
        (
            bad.write_eating_memory,
            rf"version 3 needs more than {512 * MEBIBYTE} bytes of memory .* \(model.load_memory_limit_bytes\)",
        ),
    ],
)
def test_a_bad_version_is_refused_in_one_sentence_and_not_remembered(
    tmp_path: Path, trial: TrialSettings, write: Callable[[Path, str], MadeVersion], sentence: str
) -> None:
    assert re.fullmatch(sentence, refused(write(tmp_path, "3"), trial))


def test_a_version_that_takes_too_long_is_refused(tmp_path: Path, trial: TrialSettings) -> None:
    slow = bad.write_slow_to_load(tmp_path, "3", seconds=1000)
    clock = HandClock()

    def a_second_passes() -> bool:
        clock.now_s += 1.0
        return False

    with pytest.raises(Stop, match=r"^version 3 took longer than 100 s to be .* \(model.load_timeout_s\)$"):
        try_version(slow.where, slow.digest, trial=trial, cancelled=a_second_passes, clock=clock)


def test_a_trial_that_is_not_wanted_any_more_is_given_up(tmp_path: Path, trial: TrialSettings) -> None:
    slow = bad.write_slow_to_load(tmp_path, "3", seconds=1000)
    looks = iter(range(20))
    assert refused(slow, trial, lambda: next(looks, None) is None) == "the trial of version 3 was given up"


def test_a_version_that_changes_while_it_is_tried_is_refused(tmp_path: Path, trial: TrialSettings) -> None:
    made = write_mlp(tmp_path, sizes=(8, 3))
    other = MadeVersion(made.where, "ab" * 32, made.module)
    assert f"has sha256 {made.digest}, expected {other.digest}" in refused(other, trial)


SURROUNDINGS = """__import__('json').dump({
    'nice': __import__('os').nice(0),
    'threads': __import__('torch').get_num_threads(),
    'core': __import__('resource').getrlimit(4)[0],
    'data': __import__('resource').getrlimit(2)[0],
    'oom': open('/proc/self/oom_score_adj').read(),
    'session': __import__('os').getsid(0),
    'command': open('/proc/self/cmdline').read(),
}, open(%r, 'w'))"""


def test_the_process_that_tries_is_modest(tmp_path: Path, trial: TrialSettings) -> None:
    seen = tmp_path / "seen.json"
    facts = tried(bad.write_running(tmp_path, "3", SURROUNDINGS % str(seen)), trial)
    found: dict[str, Any] = json.loads(seen.read_text())
    assert facts.width == CLASSES
    assert found["nice"] == os.nice(0) + 10
    assert (found["threads"], found["core"], found["oom"]) == (1, 0, "1000\n")
    assert 512 * MEBIBYTE < found["data"] != resource.RLIM_INFINITY
    assert found["session"] != os.getsid(0)
    assert str(tmp_path) not in found["command"]


TRY = """
import sys
from pathlib import Path
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.trial import TrialSettings, try_version
place, digest = sys.argv[1:]
trial = TrialSettings("cpu", 16, True, None, 100.0, Path(place) / "cache")
try_version(VersionDirectory("default", "3", Path(place)), digest, trial=trial, cancelled=lambda: False)
"""
PAUSE = "__import__('signal').pause()"


def test_the_process_that_tries_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    made = bad.write_running(tmp_path, "3", f"(held := open({str(held)!r}, 'wb', 0)).write(b'.') and {PAUSE}")
    with (
        subprocess.Popen([sys.executable, "-c", TRY, str(made.path), made.digest]) as asking,
        held.open("rb", 0) as end,
    ):
        assert end.read(1) == b"."
        asking.kill()
        assert end.read(1) == b""  # comes when nobody holds the other end
