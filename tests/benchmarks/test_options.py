import json
import re
from pathlib import Path

import pytest

from benchmarks.competitors import COMPETITORS, WORDS, Task, worker
from benchmarks.gpu import NOTHING, Row, cells
from benchmarks.ground import DOCUMENT, numbers, worker_settings
from benchmarks.loop import Tally, told
from benchmarks.run import chosen, turns
from tests.house.source import ROOT

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py")}
PLACES = re.compile(r"<!-- ([\w-]+): written by benchmarks/(\w+)\.py -->")


def test_every_competitor_has_a_word() -> None:
    assert list(WORDS.values()) == list(COMPETITORS)
    assert chosen("worker,plain") == [WORDS["worker"], WORDS["plain"]]


def test_an_unknown_runner_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match="--runners names fast, expected some of plain, tuned"):
        chosen("worker,fast")


def test_a_setting_without_a_value_is_refused() -> None:
    assert worker_settings(["a.b=c=d"]) == {"a.b": "c=d"}
    with pytest.raises(SystemExit, match="expected NAME=VALUE"):
        worker_settings(["a.b"])


def test_every_other_round_goes_backwards() -> None:
    found = list(turns(3, [64, 512], ["a", "b"]))
    once = [(64, "a"), (64, "b"), (512, "a"), (512, "b")]
    assert found == [*((0, *one) for one in once), *((1, *one) for one in reversed(once)), *((2, *one) for one in once)]


def test_sizes_are_numbers() -> None:
    assert numbers("64,512") == [64, 512]
    with pytest.raises(ValueError, match="invalid literal"):
        numbers("64,many")


def test_a_setting_of_the_command_line_wins_over_that_of_the_benchmark(tmp_path: Path) -> None:
    names = ("servers", "in", "out", "dead", "control", "status", "group")
    settings = {"batching.max_batch_size": 7, "batching.max_queue_delay_ms": 0}
    task = Task(*names, batch=512, repository=tmp_path, told=tmp_path / "told", settings=settings)
    start = worker(task)
    assert "batching.max_batch_size=7" in start.command
    assert "batching.max_batch_size=512" not in start.command
    assert "batching.max_queue_delay_ms=0" in start.command
    assert f"web.port={start.port}" in start.command


def test_a_loop_tells_what_it_counted(tmp_path: Path) -> None:
    tally = Tally()
    tally.count(512)
    tally.count(100)
    tally.tell(tmp_path / "told")
    assert told(tmp_path / "told").mean == 306.0
    assert json.loads((tmp_path / "told").read_text()) == {"batches": 2, "records": 612}


def test_the_document_has_a_place_for_every_part_and_each_is_closed() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    places = PLACES.findall(text)
    assert {part for part, _ in places} == {
        *("speed", "heavy", "latency", "partitions", "memory", "metrics", "scaling", "gpu"),
        *("swap-export", "swap-safetensors"),
    }
    assert {script for _, script in places} <= SOURCES.keys()
    assert all(f"<!-- end of {part} -->" in text for part, _ in places)


def test_every_file_stands_in_the_map_of_the_folder() -> None:
    named = set(re.findall(r"\w+", SOURCES["__init__"]))
    assert SOURCES.keys() - {"__init__"} - named == set()


def test_a_batch_that_memory_does_not_hold_is_a_row_of_its_own() -> None:
    assert cells(Row("a", 4096))[2] == "out of memory"
    assert cells(Row("a", 64, 1000.0, 0.5, 1.0, 2.0)) == ["a", "64", "1,000", "50%", "1.00", "2.00", ""]
    assert "nothing was measured" in NOTHING
