import json
import logging
from typing import Any

from stream_infer.errors import Stop
from stream_infer.logs import FewRepeats, JsonFormatter, OwnErrorsOnce, logging_config


def record(
    message: str, *args: Any, at_s: float = 1_000_000.0, error: BaseException | None = None
) -> logging.LogRecord:
    made = logging.LogRecord("librdkafka", logging.ERROR, __file__, 1, message, args, None)
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


def test_an_error_of_our_own_is_not_repeated_with_a_traceback() -> None:
    assert not OwnErrorsOnce().filter(record("crashed", error=Stop("said before")))
    assert not OwnErrorsOnce().filter(record("crashed reason=%r", Stop("said before")))
    assert OwnErrorsOnce().filter(record("crashed", error=ValueError("a defect")))
    assert OwnErrorsOnce().filter(record("crashed reason=%r", ValueError("a defect")))


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
