import io
from dataclasses import replace

import pytest
from rich.console import Console

from stream_infer.demo.gauges import BatchSizes
from stream_infer.demo.score import Accuracy, Latency, Standing
from stream_infer.demo.view import Lines, LiveTable, summary, view_for

STANDING = Standing(
    seconds=12.0,
    events=1_234,
    predictions=1_200,
    dead_letters=30,
    repeated=2,
    per_second=987.6,
    latency=Latency(p50_ms=12.34, p99_ms=56.78),
    batches=BatchSizes(batches=100, records=1_230, p99_records=32),
    while_rolling=Latency(p50_ms=13.57, p99_ms=57.91),
    accuracies=(Accuracy("1", "stable", 7, 8, of_all=0.8), Accuracy("2", "canary", 2, 2, of_all=0.2)),
)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_a_live_table_is_for_a_terminal_and_nobody_who_wants_lines(terminal: bool, plain: bool) -> None:  # noqa: FBT001
    view = view_for(Console(file=io.StringIO(), force_terminal=terminal), plain=plain)
    assert isinstance(view, LiveTable if terminal and not plain else Lines)


@pytest.mark.parametrize("terminal", [False, True])
def test_both_views_show_every_fact(terminal: bool) -> None:  # noqa: FBT001
    out = io.StringIO()
    with view_for(Console(file=out, force_terminal=terminal, width=80), plain=False) as view:
        view.say("to work [bold]now[/bold]")
        view.show(STANDING)
    shown = out.getvalue()
    for text in (
        "to work [bold]now[/bold]",
        "1,234",
        "1,230",
        "988/s",
        "12.3 ms",
        "56.8 ms",
        "stable 80%",
        "87.5%",
        "canary 20%",
        "100.0%",
    ):
        assert text in shown


def test_a_line_is_one_line_however_narrow_the_output() -> None:
    out = io.StringIO()
    with Lines(Console(file=out, width=20)) as view:
        view.show(STANDING)
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_the_summary_accounts_for_every_event() -> None:
    first, *rest = summary(STANDING)
    assert first == "1,234 events: 1,200 predictions, 30 dead letters, 4 unanswered, 2 repeated"
    assert any("100 batches of 12.3 records" in line for line in rest)
    assert "version 1, stable: 7 of 8 digits right, 87.5%" in rest
    assert "version 2, canary: 2 of 2 digits right, 100.0%" in rest


def test_the_summary_compares_latency_with_that_of_the_time_when_versions_changed() -> None:
    assert any("swapped: p50 13.6 ms, p99 57.9 ms" in line for line in summary(STANDING))
    assert not any("swapped" in line for line in summary(replace(STANDING, while_rolling=None)))
