import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.demo.events import Position, Prediction
from stream_infer.demo.gauges import BatchSizes
from stream_infer.demo.score import WINDOW_S, Scoreboard, Standing

NONE = BatchSizes()
COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=3)


def prediction(position: Position, *, version: str = "1", right: bool = True, happened_s: float = 0.0) -> Prediction:
    return Prediction(position, version, right, happened_s)


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


def test_accuracy_is_counted_for_each_version() -> None:
    board = Scoreboard(started_s=0.0)
    for position in positions([10]):
        board.delivered(position)
        version = "1" if position.offset < 4 else "2"
        board.predicted(prediction(position, version=version, right=position.offset != 0), read_s=1.0, now_s=1.0)
    first, second = board.whole(batches=NONE).accuracies
    assert (first.version, first.predictions, first.share) == ("1", 4, 0.75)
    assert (second.version, second.predictions, second.share) == ("2", 6, 1.0)


def test_a_board_that_was_told_nothing_divides_by_nothing() -> None:
    board = Scoreboard(started_s=5.0)
    for standing in (board.now(5.0, batches=NONE), board.whole(batches=NONE)):
        assert (standing.per_second, standing.unanswered, standing.accuracies) == (0.0, 0, ())
