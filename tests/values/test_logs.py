import json
import logging
from typing import Any

from stream_infer.errors import Stop
from stream_infer.logs import FewRepeats, JsonFormatter, OwnErrorsOnce, logging_config


def record(
    message: str,
    *args: Any,
    at_s: float = 1_000_000.0,
    error: BaseException | None = None,
    logger: str = "librdkafka",
) -> logging.LogRecord:
    made = logging.LogRecord(logger, logging.ERROR, __file__, 1, message, args, None)
    made.created = at_s
    made.exc_info = (type(error), error, None) if error else None
    return made


def test_a_line_of_json_holds_what_was_said() -> None:
    line = JsonFormatter().format(record("a %s\nb", 1))
    assert json.loads(line) == {
        "time": "1970-01-12T13:46:40.000+00:00",
        "level": "error",
        "logger": "librdkafka",
        "message": "a 1\nb",
    }
    assert "\n" not in line


def test_a_defect_keeps_its_traceback() -> None:
    assert "ValueError: x" in json.loads(JsonFormatter().format(record("m", error=ValueError("x"))))["traceback"]


def test_what_faust_says_of_an_error_of_our_own_is_left_out() -> None:
    keeps = OwnErrorsOnce().filter
    assert not keeps(record("crashed", error=Stop("said before"), logger="faust.app"))
    assert not keeps(record("crashed reason=%r", Stop("said before"), logger="mode.services"))
    assert not keeps(record("We experienced a crash! Reraising", logger="faust.worker"))
    assert keeps(record("crashed", error=ValueError("a defect"), logger="faust.app"))
    assert keeps(record("crashed reason=%r", ValueError("a defect"), logger="faust.app"))


def test_what_we_say_of_it_ourselves_is_kept() -> None:
    assert OwnErrorsOnce().filter(record("the worker cannot go on: %s", Stop("why"), logger="stream_infer.app"))


def test_messages_that_differ_in_digits_only_come_once_in_ten_seconds_with_their_count() -> None:
    repeats = FewRepeats()
    passed = [repeats.filter(record(f"connect {n} failed", at_s=1000.0 + n)) for n in range(10)]
    assert passed == [True, *[False] * 9]
    assert repeats.filter(record("another thing", at_s=1001.0))
    later = record("connect 99 failed", at_s=1010.0)
    assert repeats.filter(later)
    assert later.getMessage() == "connect 99 failed (and 9 like it)"


def test_auto_is_json_where_nobody_watches() -> None:
    formatter = logging_config(level="info", form="json")["handlers"]["stderr"]["formatter"]
    assert formatter == "json"
    assert logging_config(level="info", form="console")["handlers"]["stderr"]["formatter"] == "console"
