"""What the metrics page says of the version that serves."""

import pytest

from stream_infer.gauges import Watched, show
from stream_infer.metrics import Metrics
from stream_infer.model.lifecycle import State
from stream_infer.rollout.status import VersionStatus, WorkerStatus
from stream_infer.testing.clock import HandClock
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import PumpState

REVISION = "stream_infer_model_revision"
NOT_SERVING = [state for state in State if state is not State.ACTIVE]


def revision(status: WorkerStatus | None) -> float | None:
    """Return what the page says is the revision that serves, None where it says nothing."""
    clock = HandClock()
    metrics = Metrics(version="0", clock=clock)
    watched = Watched(
        credit=Credit(records=1, size_bytes=1),
        state=PumpState(),
        clock=clock,
        scorer=lambda: None,
        status=lambda: status,
        is_ready=lambda: False,
        device_memory_bytes=lambda: 0,
    )
    show(metrics, watched)
    return metrics.registry.get_sample_value(REVISION, {"model": "fraud"})


def said(*states: State, revision: int) -> WorkerStatus:
    """Return what a worker says whose versions are in these states."""
    versions = tuple(
        VersionStatus(str(number), None, None, str(state), None, "now") for number, state in enumerate(states)
    )
    return WorkerStatus("fraud", "fraud", "worker-a", revision, versions, None, "now")


@pytest.mark.parametrize("number", [0, 7])
def test_the_revision_that_serves_is_told_with_whatever_else_is_here(number: int) -> None:
    assert revision(said(State.FAILED, State.ACTIVE, State.LOADING, revision=number)) == number


@pytest.mark.parametrize("state", NOT_SERVING)
def test_a_worker_on_which_nothing_serves_names_no_revision(state: State) -> None:
    assert revision(said(state, revision=0)) is None


def test_a_worker_that_has_not_said_anything_names_no_revision() -> None:
    assert revision(None) is None
    assert revision(said(revision=0)) is None
