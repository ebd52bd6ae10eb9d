"""One line an event, never one a record: whoever adds a line decides how often it can be said."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.house.source import Module, modules

LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
# Every function that writes a line each time it is called, and what it is called for. All others use `Repeated`.
EVENTS = {
    ("app.py", "_leave"): "a second signal",
    ("avro/encoder.py", "__init__"): "the start",
    ("cli/produce.py", "finish"): "five seconds at the end of a command",
    ("loading.py", "_run"): "a load",
    ("metrics/report.py", "report"): "30 seconds in which records were scored",
    ("model/fetch.py", "_bring"): "a load",
    ("model/trial.py", "run"): "a load",
    ("model/tried.py", "_try"): "a load, in a process of its own",
    ("pipeline/canary.py", "_stop"): "the end of a canary",
    ("pipeline/isolate.py", "isolate"): "a smaller limit, half of the last, for a version",
    ("pipeline/outlet.py", "stop"): "a stop of scoring until something else serves",
    ("pipeline/standby.py", "release_unused"): "the end of a version",
    ("rollout/spoken.py", "say_counts"): "a new revision",
    ("rollout/spoken.py", "say_given_up"): "a load",
    ("rollout/spoken.py", "say_moved"): "a change of a version's state",
    ("rollout/spoken.py", "say_serves"): "a change of what serves",
    ("scoring.py", "set_threads"): "the start",
    ("tracing/spans.py", "close"): "the end",
    ("transport/clients.py", "wait_for_broker"): "five seconds before the first contact",
    ("transport/control.py", "check_control_topic"): "the start",
    ("transport/pump.py", "_let_in"): "a rebalance",
    ("transport/rebalance.py", "_settle"): "a rebalance",
    ("transport/rebalance.py", "on_assign"): "a rebalance",
    ("transport/rebalance.py", "on_lost"): "a rebalance",
    ("transport/rebalance.py", "on_revoke"): "a rebalance",
    ("transport/thread.py", "_end"): "the end",
    ("transport/thread.py", "stop"): "the end",
    ("transport/thread.py", "subscribe"): "the start",
    ("transport/topics.py", "describe"): "the start",
    ("transport/topics.py", "note_retry_topic"): "the start",
    ("worker.py", "_note_end"): "the end",
    ("worker.py", "_note_failure"): "the end",
}
IN_A_WORKER = [module for module in modules() if module.part not in {"demo", "logs", "testing"}]


def plain_lines(tree: ast.Module) -> Iterator[str]:
    """Yield the function of each call of a logger that is not one for what repeats."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                logger = ast.unparse(node.func.value)
                yield from [function.name] if logger == "log" or "getLogger" in logger else []


def test_a_line_is_written_for_an_event_or_through_the_logger_for_what_repeats() -> None:
    found = {(module.name, function) for module in IN_A_WORKER for function in plain_lines(module.tree)}
    assert found == set(EVENTS)


def test_a_line_that_nobody_thought_of_is_found() -> None:
    tree = ast.parse(
        "def poll(self):\n    log.warning('odd')\n    repeated.warning('odd')\n    self._log.info('odd')\n"
    )
    assert Counter(plain_lines(tree)) == {"poll": 1}


@pytest.mark.parametrize("module", IN_A_WORKER, ids=lambda module: module.name)
def test_loggers_go_by_the_names_that_the_rule_looks_for(module: Module) -> None:
    made = [
        node for node in ast.walk(module.tree) if isinstance(node, ast.Assign) and "getLogger(" in ast.unparse(node)
    ]
    names = {ast.unparse(target) for node in made for target in node.targets}
    assert names <= {"log", "repeated", "logger", "librdkafka_log", "self._log"}
