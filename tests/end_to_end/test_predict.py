"""Predictions over HTTP beside a stream on a real Kafka, and their document, held against them by a stranger."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.checker.bounds import accounting
from tests.checker.laws import duplicates, unanswered
from tests.end_to_end.asking import address, ask, is_ready
from tests.end_to_end.events import make_events
from tests.end_to_end.flow import Flow
from tests.end_to_end.harness import SCRIPTS, WorkerProcess
from tests.end_to_end.job import CLASSES, FIRST, WIDTH, JobMaker
from tests.end_to_end.test_drain import final_counters

EVENTS = 2_000
ROWS = 300
EXAMPLES = "15"
CHECK_TIMEOUT_S = 400
PREDICT = {"web": {"predict": True}}


@pytest.mark.parametrize("guarantee", [pytest.param("at_least_once", marks=pytest.mark.faults), "exactly_once_v2"])
def test_what_is_asked_over_http_gets_the_models_answer_and_counts_as_no_record(
    make_job: JobMaker, guarantee: str
) -> None:
    job = make_job(settings={**PREDICT, "delivery": {"processing_guarantee": guarantee}})
    rows = np.random.default_rng(7).normal(size=(ROWS, WIDTH)).astype(np.float32)
    flow = Flow(job)
    with job.crew() as crew:
        worker = crew.start()
        crew.until(lambda: is_ready(worker), what="ready")
        with flow.running():
            crew.until_answered(EVENTS)
            asked = [{"features": row.tolist()} for row in rows]
            single, many = ask(worker, "/predict", asked[0]), ask(worker, "/batch_predict", asked)
            crew.until_answered(crew.watch.answered() + EVENTS)
        crew.until_done()
        assert crew.drain(worker) == 0
        counters = [final_counters(worker)]
    assert (single[0], many[0]) == (200, 200)
    expected = job.references[FIRST].scores(rows.astype(np.float64).tolist())
    np.testing.assert_allclose(single[1]["scores"], expected[0], atol=1e-4)
    np.testing.assert_allclose([one["scores"] for one in many[1]], expected, atol=1e-4)
    assert {one["model_version"] for one in many[1]} == {FIRST}
    history = job.history(crew.watch.observed, along=crew.along)
    job.assert_lawful(history)
    assert unanswered(history) == []
    assert duplicates(history) == 0
    assert len(history.predictions) == flow.sent
    assert list(accounting(history, counters)) == []


def schemathesis(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let schemathesis ask the pages whatever their document allows, and what it does not."""
    command = [
        str(SCRIPTS / "schemathesis"),
        "run",
        *arguments,
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        "--generation-deterministic",
        "--no-color",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False)


def test_a_stranger_finds_no_answer_that_the_document_does_not_name(make_job: JobMaker, tmp_path: Path) -> None:
    # Scores of features as large as a float holds are not finite.
    job = make_job(settings={**PREDICT, "delivery": {"non_finite": "null"}})
    job.send(make_events(EVENTS, width=WIDTH))
    with job.crew() as crew:
        worker = crew.start()
        crew.until(lambda: is_ready(worker), what="ready")
        found = schemathesis(address(worker, "/openapi.json"), folder=tmp_path)
        assert found.returncode == 0, found.stdout
        # All but the document's own page, which it leaves out.
        assert "6 selected / 6 total" in found.stdout
        lied = schemathesis(str(lie(worker, tmp_path)), f"--url={address(worker, '')}", folder=tmp_path)
        assert lied.returncode == 1, lied.stdout
        crew.until_done()
        assert crew.drain(worker) == 0


def lie(worker: WorkerProcess, folder: Path) -> Path:
    """Write a worker's document with one number changed: how many features a row has."""
    document = ask(worker, "/openapi.json")[1]
    document["components"]["schemas"]["Row"]["properties"]["features"] |= {"minItems": CLASSES, "maxItems": CLASSES}
    written = folder / "lie.json"
    written.write_text(json.dumps(document), encoding="utf-8")
    return written
