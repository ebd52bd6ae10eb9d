import json
import logging

import pytest

from stream_infer.errors import Stop
from stream_infer.logs import FIELDS, ConsoleFormatter, JsonFormatter, logging_config
from stream_infer.logs.config import WIRE_LOGGERS, OwnErrorsOnce
from tests.house.tables import DOCS, table
from tests.logs.made import record

EVERYTHING = {"batch": 7, "offsets": "events[0] 1-5, events[1] 8-9", "revision": 0, "version": "3", "left_out": 4}


def test_a_line_of_json_holds_what_was_said() -> None:
    line = JsonFormatter().format(record("a %s\nb", 1))
    assert json.loads(line) == {
        "time": "1970-01-12T13:46:40.000+00:00",
        "level": "error",
        "logger": "stream_infer.some",
        "message": "a 1\nb",
    }
    assert "\n" not in line


def test_fields_are_members_of_the_json_object() -> None:
    line = json.loads(JsonFormatter().format(record("m", extra=EVERYTHING)))
    assert {name: line[name] for name in FIELDS} == EVERYTHING


def test_fields_stand_at_the_end_of_a_console_line_and_before_the_traceback() -> None:
    text = ConsoleFormatter().format(record("m", extra=EVERYTHING, error=ValueError("x")))
    first, *rest = text.splitlines()
    fields = 'batch=7 offsets="events[0] 1-5, events[1] 8-9" revision=0 version=3 left_out=4'
    assert first.endswith(f"ERROR stream_infer.some: m {fields}")
    assert rest[-1] == "ValueError: x"


def test_what_is_unknown_or_no_field_is_not_shown() -> None:
    given = record("m", extra={"batch": None, "password": "hunter2"})
    assert set(json.loads(JsonFormatter().format(given))) == {"time", "level", "logger", "message"}
    assert ConsoleFormatter().format(given).endswith("stream_infer.some: m")


def test_the_documented_fields_are_all_there_are() -> None:
    documented = table(DOCS / "operations.md", "field", "means")
    assert dict(zip(documented.column("field"), documented.column("means"), strict=True)) == dict(FIELDS)


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


def test_auto_is_json_where_nobody_watches() -> None:
    formatter = logging_config(level="info", form="json")["handlers"]["stderr"]["formatter"]
    assert formatter == "json"
    assert logging_config(level="info", form="console")["handlers"]["stderr"]["formatter"] == "console"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_what_libraries_write_of_their_requests_is_never_logged_below_warning(level: str) -> None:
    loggers = logging_config(level=level, form="json")["loggers"]
    chosen = {loggers[name]["level"] for name in WIRE_LOGGERS}
    assert chosen == {max(level.upper(), "WARNING", key=lambda one: logging.getLevelNamesMapping()[one])}
