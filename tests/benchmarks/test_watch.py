import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.competitors import Start
from benchmarks.page import parse
from benchmarks.watch import Figures, Mark, Running, Watched, figures, follow

SLEEPER = [sys.executable, "-c", "import signal; print('x'); signal.pause()"]
ENDS = [sys.executable, "-c", "pass"]


def mark(at_s: float, records: int, cpu_s: float, *, stolen_s: float = 0.0) -> Mark:
    return Mark(at_s, records, cpu_s, [], at_s, stolen_s)


def seen(begin: Mark, end: Mark, resident: Sequence[int] = (1_000_000,)) -> Figures:
    return figures(Watched(begin, end, resident), mean_batch=64.0)


def test_rate_and_cpu_are_those_between_the_marks() -> None:
    found = seen(mark(10.0, 1000, 5.0), mark(14.0, 9000, 6.0), [3_000_000, 9_000_000, 6_000_000])
    assert found.events_per_s == 2000.0
    assert found.cpu_us_per_event == pytest.approx(125.0)
    assert (found.first_mb, found.peak_mb, found.last_mb) == (3.0, 9.0, 6.0)
    assert found.mean_batch == 64.0


def test_a_run_that_was_over_between_two_looks_is_refused() -> None:
    with pytest.raises(SystemExit, match="more are needed"):
        seen(mark(1.0, 500, 1.0), mark(1.0, 500, 1.5))


def test_a_run_that_took_no_processor_time_that_could_be_seen_is_refused() -> None:
    with pytest.raises(SystemExit, match="more are needed"):
        seen(mark(1.0, 500, 1.0), mark(1.1, 900, 1.0))


def test_a_worker_is_asked_for_its_batches_and_a_loop_is_believed() -> None:
    page = parse("# TYPE stream_infer_batch_records summary\nstream_infer_batch_records_sum 10\n")
    begin, end = (Mark(at_s, records, at_s, [page], at_s, 0.0) for at_s, records in ((1.0, 10), (2.0, 20)))
    found = figures(Watched(begin, end, [1]), mean_batch=64.0)
    assert found.mean_batch is None
    assert found.busy == {"decode": 0.0, "infer": 0.0, "encode": 0.0, "produce": 0.0, "all": 0.0}


def test_what_the_host_took_is_a_share_of_all_cores() -> None:
    cores = psutil.cpu_count() or 1
    found = seen(mark(10.0, 1000, 5.0, stolen_s=1.0), mark(14.0, 9000, 6.0, stolen_s=1.0 + cores))
    assert found.stolen == pytest.approx(0.25)


def growing(*counts: int) -> Iterator[int]:
    yield from counts


def test_the_marks_are_the_first_looks_behind_their_shares() -> None:
    counts = growing(0, 4, 6, 50, 96, 100)
    with Running([Start(SLEEPER)]) as running:
        watched = follow(running, count=lambda: next(counts), events=100)
    assert (watched.begin.records, watched.end.records) == (6, 96)
    assert len(watched.resident_bytes) == 5
    assert watched.end.cpu_s >= watched.begin.cpu_s


def test_a_competitor_that_ends_before_its_work_is_done_is_named() -> None:
    with Running([Start(ENDS)]) as running:
        running.processes[0].wait()
        with pytest.raises(SystemExit, match="stopped at 0 of 100 events"):
            follow(running, count=lambda: 0, events=100)


def test_a_competitor_that_ends_badly_counts_for_nothing(tmp_path: Path) -> None:
    with Running([Start(SLEEPER)]) as running, pytest.raises(SystemExit, match="ended with -15, expected 0"):
        running.stop()
