"""What dashboard and alerts ask for is there."""

import re
from pathlib import Path

import pytest

from tests.observability.expressions import dashboard, labels_in, names_in, names_of, panels, registry, rules, shown

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ASKED = {**shown(), **{rule["alert"]: rule["expr"] for rule in rules()}}
FROM_KUBERNETES = {"namespace", "pod", "job"}
FROM_PROMETHEUS = {"up"}
OF_CLOSED_SETS = {"outcome", "state"}


@pytest.fixture(scope="module")
def names() -> set[str]:
    return names_of(registry())


@pytest.mark.parametrize("which", ASKED)
def test_every_expression_parses_and_names_only_what_a_worker_has(which: str, names: set[str]) -> None:
    assert names_in(ASKED[which]) <= names | FROM_PROMETHEUS


def test_an_expression_that_is_none_and_a_name_that_is_none_are_found(names: set[str]) -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        names_in("sum by (pod (stream_infer_ready)")
    assert not names_in("rate(stream_infer_typo_total[5m]) > 0") <= names
    assert not names_in("rate(stream_infer_batches[5m])") <= names


@pytest.mark.parametrize("which", ASKED)
def test_only_labels_are_asked_for_that_there_are(which: str) -> None:
    assert all(labels <= FROM_KUBERNETES | OF_CLOSED_SETS for labels in labels_in(ASKED[which]).values())


def test_nearly_everything_that_a_worker_counts_is_on_the_dashboard(names: set[str]) -> None:
    on_it = {name for expression in shown().values() for name in names_in(expression)}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("stream_infer_")}
    missing = ours - {re.sub(r"_(bucket|sum|count)$", "", name) for name in on_it}
    assert missing == {
        "stream_infer_build_info",
        "stream_infer_control_messages_total",
        "stream_infer_last_poll_timestamp_seconds",
        "stream_infer_model_info",
        "stream_infer_model_state",
        "stream_infer_queue_bytes",
        "stream_infer_schema_cache_misses_total",
        "stream_infer_stopped",
    }


def test_graphs_have_names_and_places_of_their_own() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard()["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_what_it_is_and_where_its_runbook_is(rule: dict[str, dict[str, str]]) -> None:
    name = str(rule["alert"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    assert f"### {name}\n" in OPERATIONS.read_text(encoding="utf-8")
