from pathlib import Path

import pytest

from benchmarks import latency_report, memory, scaling, scrape, stats
from benchmarks.competitors import AIOKAFKA, EXACT, FAUST, PLAIN, TUNED, WORKER
from benchmarks.goals import Goal, Timed, latency_goals, speed_goals
from benchmarks.latency_report import Timing
from benchmarks.report import table, write_document, write_results
from benchmarks.scaling import Shared
from benchmarks.speed_report import Row, busy_lines, lines, rows
from benchmarks.watch import Figures
from benchmarks.windows import Latencies

RATES = {PLAIN: 100_000.0, TUNED: 200_000.0, FAUST: 3_000.0, WORKER: 195_000.0, EXACT: 180_000.0}
CPU = {PLAIN: 8.0, TUNED: 5.0, FAUST: 300.0, WORKER: 5.5, EXACT: 6.0}


def run_of(name: str, share: float = 1.0) -> Figures:
    return Figures(RATES[name] * share, CPU[name], 500.0, 1.0, 2.0, 1.5)


def speed(batch: int = 512, **changed: float) -> list[Row]:
    """Return the rows of two rounds, the second on a slower machine; `changed` are rates of the worker."""
    worker = [Figures(changed.get("worker", RATES[WORKER]) * share, CPU[WORKER], 512.0, 1, 2, 1) for share in (1, 0.5)]
    runs = {(batch, name): [run_of(name), run_of(name, 0.5)] for name in RATES} | {(batch, WORKER): worker}
    return rows(runs)


def test_everybody_stands_in_the_order_of_the_list_with_ratios_of_the_same_round() -> None:
    found = speed()
    assert [row.name for row in found] == [PLAIN, TUNED, FAUST, WORKER, EXACT]
    worker = found[3]
    assert worker.rate_to[PLAIN].median == pytest.approx(1.95)
    assert worker.rate_to[TUNED].low == worker.rate_to[TUNED].high == pytest.approx(0.975)


def test_who_did_not_run_is_compared_with_nobody() -> None:
    (alone,) = rows({(64, WORKER): [run_of(WORKER)]})
    assert alone.rate_to.keys() == {WORKER}
    assert lines([alone])[-1].count("|") == lines([alone])[0].count("|")
    assert speed_goals([alone]) == []


def test_every_goal_is_judged_by_its_own_bound() -> None:
    verdicts = {goal.name: (round(goal.found, 3), goal.is_met) for goal in speed_goals(speed())}
    assert verdicts == {
        "of the tuned loop's rate, batch 512": (0.975, True),
        "of the tuned loop's CPU per event, batch 512": (1.1, True),
        "of the plain loop's rate, batch 512": (1.95, True),
        "of stock Faust's rate, batch 512": (65.0, True),
        "exactly once of at least once, batch 512": (0.923, True),
    }


def test_a_slow_worker_misses_its_goals_and_the_line_says_so() -> None:
    missed = [goal for goal in speed_goals(speed(worker=100_000.0)) if not goal.is_met]
    assert [goal.name.split(",")[0] for goal in missed] == [
        "of the tuned loop's rate",
        "of the plain loop's rate",
        "of stock Faust's rate",
    ]
    assert missed[0].line() == "- of the tuned loop's rate, batch 512: 0.50, goal at least 0.95: **not met**."


def test_the_plain_loop_is_a_goal_at_512_alone() -> None:
    assert not [goal for goal in speed_goals(speed(batch=64)) if "plain" in goal.name]


def test_a_bound_itself_is_kept_from_either_side() -> None:
    assert Goal("a", 0.95, 0.95).is_met
    assert Goal("a", 1.15, 1.15, at_least=False).is_met
    assert not Goal("a", 1.16, 1.15, at_least=False).is_met


def test_latency_goals_compare_no_delay_with_aiokafka_and_a_delay_with_none() -> None:
    timed = [Timed(AIOKAFKA, None, 2.0, 10.0), Timed("none", 0, 2.4, 13.0), Timed("five", 5, 5.0, 17.0)]
    assert [(round(goal.found, 2), goal.is_met) for goal in latency_goals(timed)] == [
        (1.2, True),
        (1.3, False),
        (2.6, True),
        (4.0, True),
    ]
    assert latency_goals(timed[:1]) == []


def test_the_busy_share_of_a_worker_is_told_by_stage() -> None:
    run = Figures(1.0, 1.0, 16.0, 1, 1, 1, {"infer": 0.9, "decode": 0.06, "all": 0.96})
    found = rows({(16, WORKER): [run]})
    assert busy_lines(found) == [
        "- worker, at least once, batch 16: the stages take 96% of wall time (infer 90%, decode 6%)."
    ]


def test_a_latency_row_has_the_medians_of_its_rounds_and_every_event_that_nobody_answered() -> None:
    runs = [Timing(Latencies(10, p50, 9.0, 12.0, 20.0, 9.0), missing, 0.5) for p50, missing in ((2, 0), (4, 3), (3, 1))]
    row = latency_report.row(2000, "loop", runs, delay_ms=None)
    assert (row.p50_ms.median, row.p50_ms.low, row.p50_ms.high, row.unanswered) == (3, 2, 4, 4)
    assert latency_report.lines([row])[-1].startswith("| 2,000 | loop | 3.0 (2.0 to 4.0) |")


def test_workers_are_compared_with_one_of_the_same_round_and_losses_add_up() -> None:
    runs = {
        1: [Shared(run_of(PLAIN), 0, 0), Shared(run_of(PLAIN, 0.5), 0, 0)],
        2: [Shared(run_of(TUNED), 1, 0), Shared(run_of(TUNED, 0.5), 2, 5)],
    }
    one, two = scaling.rows(runs)
    assert (one.to_one is not None, two.lost, two.repeated) == (True, 3, 5)
    assert two.to_one is not None
    assert two.to_one.median == pytest.approx(2.0)


def test_growth_is_that_behind_the_first_fifth() -> None:
    # 100 s: 400 MB are taken in the first 10, then 1 MB more in each 30 s.
    def resident(at: int) -> float:
        return 40.0 * at if at < 10 else 400.0 + (at - 10) / 30

    seen = [memory.Sample(at, at * 1000, int(resident(at) * 1e6), at % 7, 10.0 * at) for at in range(101)]
    found = memory.memory(seen)
    assert found.growth_mb_per_min == pytest.approx(2.0, abs=0.01)
    assert found.events_per_s == pytest.approx(1000.0)
    assert (found.most_queued, found.most_queued_bytes) == (6, 1000.0)


def test_a_table_has_as_many_columns_as_its_head() -> None:
    assert table(["a", "b"], ["1", "2"]) == ["| a | b |", "|---|---|", "| 1 | 2 |"]


def test_a_section_is_replaced_and_the_rest_of_the_document_stays(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text("before\n<!-- speed: written by benchmarks/run.py -->\nold\n<!-- end of speed -->\nbehind\n")
    write_document(path, "speed", text="new", script="run.py")
    new = "<!-- speed: written by benchmarks/run.py -->\n\nnew\n\n<!-- end of speed -->"
    assert path.read_text() == f"before\n{new}\nbehind\n"
    with pytest.raises(ValueError, match="substring not found"):
        write_document(path, "memory", text="new", script="memory.py")


def test_one_part_of_the_results_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    write_results(path, "speed", found={"a": 1})
    write_results(path, "memory", found={"run": Goal("a", 1.0, 2.0)})
    write_results(path, "speed", found={"a": 2})
    assert '"a": 2' in path.read_text()
    assert '"bound": 2.0' in path.read_text()


def test_a_share_of_pages_is_told_with_its_median_and_its_slowest() -> None:
    found = scrape.pages([float(number) for number in range(1, 101)], 9_998.0)
    assert (found.p50_ms, found.p99_ms, found.most_ms, found.pages) == (51.0, 100.0, 100.0, 100)
    with pytest.raises(SystemExit, match="no page was read"):
        scrape.pages([], 1.0)


def test_a_page_that_is_slow_or_dear_is_a_goal_that_is_not_met() -> None:
    one = stats.spread([1.0])
    slow, dear = (scrape.Pages(10_000, p50, 200.0, 300.0, 9) for p50 in (20.0, 190.0))
    told = [scrape.lines(found, scrape.Rates(one, one, one), 1.0) for found in (slow, dear)]
    assert [sum("**not met**" in line for line in lines) for lines in told] == [1, 2]
