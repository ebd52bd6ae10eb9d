"""How far partitions are behind, and since when."""

from dataclasses import dataclass, field

from stream_infer.metrics import PartitionWatch
from stream_infer.records import End, Mark, Partition
from stream_infer.testing.clock import HandClock

ONE, TWO = Partition("events", 0), Partition("events", 1)
LAG, AGE = "stream_infer_consumer_lag_records", "stream_infer_oldest_unscored_age_seconds"
PAUSE = "stream_infer_longest_partition_pause_seconds"
IDLE = Mark(10, 10, in_hand=False, oldest_ms=None)


@dataclass(slots=True)
class Seen:
    """A watch, and what it reads."""

    clock: HandClock = field(default_factory=lambda: HandClock(now_s=1000.0))
    marks: dict[Partition, Mark] = field(default_factory=dict)
    ends: dict[Partition, End] = field(default_factory=dict)
    watch: PartitionWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = PartitionWatch(self.clock, marks=self.marks.copy, ends=self.ends.copy)

    def after(self, seconds: float) -> dict[tuple[str, int | None], float]:
        """Return what the page says so many seconds later, by name and partition."""
        self.clock.now_s += seconds
        return {
            (one.name, int(one.labels["partition"]) if one.labels else None): one.value
            for family in self.watch.collect()
            for one in family.samples
        }


def test_nothing_to_score_has_no_age_and_is_no_pause() -> None:
    seen = Seen(marks={ONE: IDLE}, ends={ONE: End(10, is_drained=True)})
    seen.after(0)
    assert seen.after(3600) == {(LAG, 0): 0, (AGE, 0): 0, (PAUSE, None): 0}


def test_a_record_in_hand_is_as_old_as_its_timestamp_says_and_never_younger_than_now() -> None:
    seen = Seen(marks={ONE: Mark(10, 12, in_hand=True, oldest_ms=990_000)}, ends={ONE: End(12, is_drained=True)})
    assert seen.after(5)[AGE, 0] == 15.0
    seen.marks[ONE] = Mark(10, 12, in_hand=True, oldest_ms=2_000_000)
    assert seen.after(0)[AGE, 0] == 0.0


def test_records_that_nobody_has_read_are_as_old_as_the_standstill() -> None:
    seen = Seen(marks={ONE: IDLE}, ends={ONE: End(10, is_drained=True)})
    seen.after(0)
    seen.ends[ONE] = End(15, is_drained=False)
    assert seen.after(7) == {(LAG, 0): 5, (AGE, 0): 0, (PAUSE, None): 0}
    assert seen.after(30) == {(LAG, 0): 5, (AGE, 0): 30, (PAUSE, None): 30}
    seen.marks[ONE] = Mark(11, 11, in_hand=False, oldest_ms=None)
    assert seen.after(2) == {(LAG, 0): 4, (AGE, 0): 0, (PAUSE, None): 0}


def test_the_longest_pause_is_that_of_the_partition_that_stands_longest() -> None:
    stuck = Mark(10, 12, in_hand=True, oldest_ms=1_000_000)
    seen = Seen(marks={ONE: stuck, TWO: stuck})
    seen.after(0)
    seen.marks[TWO] = Mark(11, 12, in_hand=True, oldest_ms=1_000_000)
    assert seen.after(20)[PAUSE, None] == 20
    del seen.marks[ONE]
    assert seen.after(5)[PAUSE, None] == 5


def test_what_turns_out_to_be_nobodys_to_score_is_no_pause() -> None:
    seen = Seen(marks={ONE: IDLE}, ends={ONE: End(12, is_drained=False)})
    seen.after(0)
    assert seen.after(40)[PAUSE, None] == 40
    seen.ends[ONE] = End(12, is_drained=True)
    assert seen.after(1) == {(LAG, 0): 0, (AGE, 0): 0, (PAUSE, None): 0}
    seen.ends[ONE] = End(14, is_drained=False)
    assert seen.after(1)[PAUSE, None] == 0


def test_a_partition_that_was_given_up_is_gone_and_begins_anew_when_it_comes_back() -> None:
    stuck = Mark(10, 12, in_hand=True, oldest_ms=None)
    seen = Seen(marks={ONE: stuck}, ends={ONE: End(12, is_drained=True), TWO: End(5, is_drained=True)})
    seen.after(0)
    assert seen.after(50)[PAUSE, None] == 50
    del seen.marks[ONE]
    assert seen.after(1) == {(PAUSE, None): 0}
    seen.marks[ONE] = stuck
    assert seen.after(1)[PAUSE, None] == 0


def test_lag_is_not_guessed_while_the_end_is_not_known() -> None:
    seen = Seen(marks={ONE: IDLE})
    assert (LAG, 0) not in seen.after(0)
    seen.ends[ONE] = End(10, is_drained=True)
    assert seen.after(0)[LAG, 0] == 0
