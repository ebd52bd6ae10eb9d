"""The published table is the sum of the ledger."""

import json
from pathlib import Path

from tests.faults.runner import LEDGER
from tests.faults.table import DOCUMENT, filled

LINE = {
    "guarantee": "exactly_once_v2",
    "minutes": 3.2,
    "records": 1_000,
    "lost": 0,
    "duplicated": 2,
    "out_of_order": 0,
    "wrong": 0,
    "broken": 0,
    "faults": {
        "worker: SIGKILL": {"injections": 2, "records": 400, "lost": 0, "duplicated": 2, "recovery_s": [2.0, 4.0]},
        "version swap": {"injections": 1, "records": 50, "lost": 0, "duplicated": 0, "recovery_s": [1.0]},
    },
}


def test_the_document_says_what_the_ledger_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert filled(text, LEDGER) == text


def test_runs_are_summed_by_guarantee_and_fault(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("".join(json.dumps(LINE) + "\n" for _ in range(2)), encoding="utf-8")
    text = filled("before\n<!-- ledger -->\nold\n<!-- end -->\nbehind", ledger)
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nbehind")
    assert "2,000 records, 6 faults, 4 of them kills of a worker: 0 lost, 4 answered again (0.200%)" in text
    assert "| worker: SIGKILL | 4 | 800 | 0 | 4 | 3.0 | 4.0 |" in text
    assert "old" not in text


def test_a_run_in_which_a_law_did_not_hold_counts_for_nothing_and_is_named(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("".join(json.dumps({**LINE, "broken": broken}) + "\n" for broken in (0, 2)), encoding="utf-8")
    text = filled("<!-- ledger -->\n<!-- end -->", ledger)
    assert "Runs: 1, of 3 minutes at most; 1,000 records, 3 faults, 2 of them kills" in text
    assert "Left out: 1 more, in which a law did not hold." in text
