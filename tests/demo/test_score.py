from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.demo.events import Position, Prediction
from stream_infer.demo.gauges import BatchSizes
from stream_infer.demo.score import WINDOW_S, Accuracy, Scoreboard, Standing

NONE = BatchSizes()
COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=3)


def prediction(
    position: Position, *, version: str = "1", variant: str = "stable", right: bool = True, happened_s: float = 0.0
) -> Prediction:
    return Prediction(position, version, variant, right, happened_s)


def positions(counts: list[int]) -> list[Position]:
    return [Position(partition, offset) for partition, count in enumerate(counts) for offset in range(count)]


@st.composite
def histories(draw: st.DrawFn) -> Standing:
    """Deliveries in offset order, answers at any moment, some of them twice, some dead letters, some never."""
    board = Scoreboard(started_s=0.0)
    events = positions(draw(COUNTS))
    answers = draw(st.lists(st.sampled_from(events), max_size=40)) if events else []
    dead = {position for position in events if draw(st.booleans())}
    deliveries = iter(events)
    for position in answers:
        for _ in range(draw(st.integers(0, 3))):
            if (delivered := next(deliveries, None)) is not None:
                board.delivered(delivered)
        if position in dead:
            board.dead_lettered(position, read_s=1.0)
        else:
            board.predicted(prediction(position), read_s=1.0, now_s=1.0)
    for delivered in deliveries:
        board.delivered(delivered)

    standing = board.whole(batches=NONE)
    distinct = set(answers)
    assert standing.events == len(events)
    assert standing.predictions == len(distinct - dead)
    assert standing.dead_letters == len(distinct & dead)
    assert standing.repeated == len(answers) - len(distinct)
    assert board.unanswered == standing.unanswered == len(events) - len(distinct)
    return standing


@given(histories())
def test_each_event_counts_as_answered_once_whatever_comes_when(standing: Standing) -> None:
    assert standing.predictions + standing.dead_letters + standing.unanswered == standing.events


def board_with(latencies_s: list[float], *, read_s: float) -> Scoreboard:
    board = Scoreboard(started_s=0.0)
    for position, latency_s in zip(positions([len(latencies_s)]), latencies_s, strict=True):
        board.delivered(position)
        board.predicted(prediction(position, happened_s=100.0 - latency_s), read_s=read_s, now_s=100.0)
    return board


def test_latency_is_from_the_event_to_the_reading_of_its_prediction() -> None:
    standing = board_with([0.010, 0.020, 0.030], read_s=1.0).whole(batches=NONE)
    assert standing.latency.p50_ms == pytest.approx(20.0)
    assert 29.0 < standing.latency.p99_ms <= 30.001


def test_the_live_standing_forgets_what_the_whole_remembers() -> None:
    board = board_with([0.010] * 100, read_s=1.0)
    live = board.now(1.0 + 2 * WINDOW_S, batches=NONE)
    assert live.per_second == 0.0
    assert live.latency.p50_ms == 0.0
    assert live.predictions == 100
    assert board.whole(batches=NONE).per_second == pytest.approx(100.0)


def test_accuracy_is_counted_for_each_version_and_variant() -> None:
    board = Scoreboard(started_s=0.0)
    answerers = [("1", "stable")] * 4 + [("2", "canary")] * 1 + [("2", "stable")] * 5
    for position, (version, variant) in zip(positions([10]), answerers, strict=True):
        board.delivered(position)
        one = prediction(position, version=version, variant=variant, right=position.offset != 0)
        board.predicted(one, read_s=1.0, now_s=1.0)
    assert board.whole(batches=NONE).accuracies == (
        Accuracy("1", "stable", right=3, predictions=4, of_all=0.4),
        Accuracy("2", "canary", right=1, predictions=1, of_all=0.1),
        Accuracy("2", "stable", right=5, predictions=5, of_all=0.5),
    )


ANSWERS = st.lists(st.tuples(st.floats(0, 20), st.sampled_from("12"), st.sampled_from(["stable", "canary"])))


@given(ANSWERS, st.floats(0, 20))
def test_the_live_accuracies_are_those_of_the_last_seconds(answers: list[tuple[float, str, str]], now_s: float) -> None:
    board = Scoreboard(started_s=0.0)
    answers.sort()
    for position, (read_s, version, variant) in zip(positions([len(answers)]), answers, strict=True):
        board.delivered(position)
        board.predicted(prediction(position, version=version, variant=variant), read_s=read_s, now_s=read_s)
    recent = Counter(answer[1:] for answer in answers if answer[0] >= now_s - WINDOW_S)
    live = board.now(now_s, batches=NONE).accuracies
    assert {(one.version, one.variant): one.predictions for one in live} == recent
    assert sum(one.of_all for one in live) == pytest.approx(1.0 if live else 0.0)


def test_latency_while_versions_change_is_kept_apart() -> None:
    board = Scoreboard(started_s=0.0)
    for position in positions([10]):
        board.delivered(position)
        board.is_rolling = position.offset >= 8
        latency_s = 0.2 if board.is_rolling else 0.1
        board.predicted(prediction(position, happened_s=1.0 - latency_s), read_s=1.0, now_s=1.0)
    standing = board.whole(batches=NONE)
    assert standing.while_rolling is not None
    assert standing.while_rolling.p50_ms == pytest.approx(200.0)
    assert standing.latency.p50_ms == pytest.approx(100.0)


def test_a_board_that_was_told_nothing_divides_by_nothing() -> None:
    board = Scoreboard(started_s=5.0)
    for standing in (board.now(5.0, batches=NONE), board.whole(batches=NONE)):
        assert (standing.per_second, standing.unanswered, standing.accuracies) == (0.0, 0, ())
