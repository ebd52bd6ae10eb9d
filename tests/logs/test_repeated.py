"""What may be said again and again: at once when it is new, then once a minute, and nothing uncounted."""

import gc
import logging
import threading
import weakref
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_infer.logs.repeated import MOST_KINDS, OTHERS, PERIOD_S, Line, Repeated, Repeats
from stream_infer.testing.clock import HandClock
from tests.logs.made import Kept, keeping

Moment = tuple[float, str]
MOMENTS = st.lists(st.tuples(st.floats(0.0, 30.0), st.sampled_from("ab")), max_size=60)


class Said:
    """A logger for what repeats, on a clock of its own."""

    def __init__(self, *, by_text: bool = False) -> None:
        self.clock = HandClock(now_s=1000.0)
        self.repeats = Repeats()
        self.logger, self.kept = keeping()
        self.often = Repeated(self.logger, by_text=by_text, repeats=self.repeats, clock=self.clock)

    def look(self) -> None:
        for line, left_out in self.repeats.due(self.clock.now_s):
            line.say(left_out=left_out)

    def told(self) -> list[tuple[str, int]]:
        return self.kept.told()


def test_the_first_is_said_at_once_and_the_others_of_its_minute_are_counted() -> None:
    said = Said()
    for number in range(10):
        said.often.warning("record %d is odd", number)
    assert said.told() == [("record 0 is odd", 0)]
    said.clock.now_s += PERIOD_S
    said.often.warning("record %d is odd", 99)
    assert said.told() == [("record 0 is odd", 0), ("record 99 is odd", 9)]


def test_the_last_that_was_left_out_is_said_when_its_minute_is_over_though_nothing_follows() -> None:
    said = Said()
    for number in range(10):
        said.often.warning("record %d is odd", number)
    said.look()
    assert len(said.told()) == 1
    said.clock.now_s += PERIOD_S
    said.look()
    said.clock.now_s += PERIOD_S
    said.look()
    assert said.told() == [("record 0 is odd", 0), ("record 9 is odd", 8)]


@given(MOMENTS)
def test_every_line_is_written_or_counted_and_lines_of_a_kind_are_a_minute_apart(moments: list[Moment]) -> None:
    said, at_s = Said(), dict[str, list[float]]()
    for pause_s, kind in moments:
        said.clock.now_s += pause_s
        before = len(said.told())
        said.look()
        said.often.warning("%s", kind, each=kind)
        for text, _ in said.told()[before:]:
            at_s.setdefault(text, []).append(said.clock.now_s)
    said.clock.now_s += PERIOD_S
    said.look()
    assert sum(1 + left_out for _, left_out in said.told()) == len(moments)
    assert all(later - earlier >= PERIOD_S for times in at_s.values() for earlier, later in pairwise(times))


def test_a_plain_logger_breaks_that_law() -> None:
    said = Said()
    for number in range(10):
        said.logger.warning("record %d is odd", number)
    assert len(said.told()) == 10


def test_lines_of_other_words_or_levels_or_told_apart_are_of_another_kind() -> None:
    said = Said()
    said.often.warning("one %d", 1)
    said.often.warning("two %d", 1)
    said.often.info("one %d", 1)
    said.often.warning("one %d", 1, each="events[0]")
    said.often.warning("one %d", 1, each="events[1]")
    said.often.warning("one %d", 2, each="events[1]")
    assert len(said.told()) == 5


def test_words_of_others_are_of_a_kind_when_they_differ_in_numbers_only() -> None:
    said = Said(by_text=True)
    for number in range(5):
        said.often.log(logging.ERROR, "%s [%s] %s", "FAIL", "w-1", f"{number} of <C at {number + 9:#x}> failed")
    said.often.log(logging.ERROR, "%s [%s] %s", "FAIL", "w-1", "another thing")
    assert [text for text, _ in said.told()] == ["FAIL [w-1] 0 of <C at 0x9> failed", "FAIL [w-1] another thing"]


def test_lines_for_finding_a_fault_are_all_written() -> None:
    said = Said(by_text=True)
    said.logger.setLevel(logging.DEBUG)
    for _ in range(5):
        said.often.log(logging.DEBUG, "%s [%s] %s", "SEND", "w-1", "a request")
    assert len(said.told()) == 5


def test_a_line_keeps_its_fields_and_its_caller() -> None:
    said = Said()
    said.often.warning("odd", extra={"batch": 1})
    said.often.warning("odd", extra={"batch": 2})
    said.often.warning("odd", extra={"batch": 3})
    said.clock.now_s += PERIOD_S
    said.look()
    assert [getattr(one, "batch", None) for one in said.kept.records] == [1, 3]
    assert said.kept.records[0].funcName == "test_a_line_keeps_its_fields_and_its_caller"


def test_what_a_level_hides_is_neither_said_nor_counted() -> None:
    said = Said()
    said.logger.setLevel(logging.ERROR)
    said.often.warning("odd")
    said.often.warning("odd")
    said.clock.now_s += PERIOD_S
    said.look()
    assert said.told() == []


def test_a_line_that_was_left_out_keeps_nothing_alive() -> None:
    said = Said()

    class Fault(Exception):
        pass

    fault = Fault("why")
    gone = weakref.ref(fault)
    said.often.warning("failed")
    said.often.warning("failed: %s", fault)
    said.often.warning("failed: %s", fault)
    said.kept.records.clear()
    del fault
    gc.collect()
    assert gone() is None


def test_so_many_kinds_that_they_cannot_be_kept_are_counted_as_one() -> None:
    repeats, (logger, _) = Repeats(), keeping()
    line = Line(logger, logging.INFO, "m", {})
    assert [repeats.take(number, line, 0.0) for number in range(MOST_KINDS)] == [0] * MOST_KINDS
    assert repeats.take("one more", line, 1.0) == 0
    assert [repeats.take(f"more {number}", line, 2.0) for number in range(50)] == [None] * 50
    assert repeats.take("much later", line, PERIOD_S) == 0
    assert repeats.take(OTHERS, line, 2 * PERIOD_S) == 50


def test_threads_say_a_kind_once_between_them() -> None:
    said = Said()

    def say() -> None:
        for _ in range(200):
            said.often.warning("odd")

    threads = [threading.Thread(target=say) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.clock.now_s += PERIOD_S
    said.look()
    assert said.told() == [("odd", 0), ("odd", 8 * 200 - 2)]


def test_a_handler_that_says_something_itself_does_not_wait_for_ever() -> None:
    said = Said()

    class Chatty(Kept):
        def emit(self, given: logging.LogRecord) -> None:
            super().emit(given)
            said.often.warning("handled")

    said.logger.addHandler(Chatty())
    said.often.warning("odd")
    assert said.told() == [("odd", 0), ("handled", 0)]
